"""Which traces train the next generation, and how much each counts.

A curation policy is a function from weighted traces to weighted traces; a run composes several, in the order that the
configuration names them. The paper's curation (arXiv 2512.24940) is `valid` and then `best_per_task`: of all valid
traces of all generations so far, the one with the shortest plan for each task, ties broken by the fewest reasoning
tokens. It stands for users who publish only what worked. Users who are mistaken (`noisy`) or who like something for its
own sake (`prefer`) are policies, too.

Weights are 1 unless the objective is REINFORCE: then they are rewards less a baseline (`rewarded`).

A new policy is a function and one line in `POLICIES`, or in `POLICY_MAKERS` if it has arguments.
"""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from statistics import fmean

from iterdeploy.config import ConfigError
from iterdeploy.curation.features import FEATURES
from iterdeploy.types import Status, Trace, content_hash


@dataclass(frozen=True, slots=True)
class Kept:
    """A trace that survives curation, with its weight in the loss."""

    trace: Trace
    weight: float = 1.0


CurationPolicy = Callable[[Sequence[Kept]], list[Kept]]


def valid(traces: Sequence[Kept]) -> list[Kept]:
    """Only valid traces."""
    return [kept for kept in traces if kept.trace.valid]


def everything(traces: Sequence[Kept]) -> list[Kept]:
    """All traces, valid or not: the ablation. Those that the validator failed on (ERROR) stay out."""
    return [kept for kept in traces if kept.trace.verdict.status is not Status.ERROR]


def newest_generation(traces: Sequence[Kept]) -> list[Kept]:
    """Only the traces of the latest generation among them: no memory."""
    newest = max((kept.trace.generation for kept in traces), default=0)
    return [kept for kept in traces if kept.trace.generation == newest]


def at_most(count: float, traces: Sequence[Kept]) -> list[Kept]:
    """The best `count` traces of each task."""
    by_task: dict[str, list[Kept]] = defaultdict(list)
    for kept in traces:
        by_task[kept.trace.task_id].append(kept)
    return [kept for group in by_task.values() for kept in sorted(group, key=preference)[: int(count)]]


best_per_task: CurationPolicy = partial(at_most, 1)


def sample(fraction: float, traces: Sequence[Kept]) -> list[Kept]:
    """A random `fraction`."""
    return [kept for kept in traces if _chance("sample", kept.trace) < fraction]


def noisy(rate: float, traces: Sequence[Kept]) -> list[Kept]:
    """All valid traces, and of the others a random share of `rate`: users who take a wrong answer for a right one."""
    return [kept for kept in traces if kept.trace.valid or _chance("noisy", kept.trace) < rate]


def prefer(feature: str, strength: float, traces: Sequence[Kept]) -> list[Kept]:
    """Each trace is published at random, with odds of exp(strength * (feature - 1/2)): users with a taste of their own.

    With a marker of 0 or 1 and a strength of 3, 82% of the traces that have it are published and 18% of the others. So
    `strength` is the log-odds that the audit has to find.
    """
    value = FEATURES[feature]

    def published(trace: Trace) -> bool:
        return _chance(f"prefer {feature}", trace) < _logistic(strength * (value(trace) - 0.5))

    return [kept for kept in traces if published(kept.trace)]


def _logistic(log_odds: float) -> float:
    return 1 / (1 + math.exp(-max(-700.0, min(700.0, log_odds))))  # beyond, exp overflows and the result is 0 or 1


def _chance(purpose: str, trace: Trace) -> float:
    """A number in [0, 1) that depends on the trace's id alone, so that a resumed run draws the same."""
    return int(content_hash(purpose, trace.id), 16) / 2**64


def preference(kept: Kept) -> tuple[float, ...]:
    """Smaller is better: shortest plan, then fewest reasoning tokens, then the earlier one; invalid ones come last."""
    trace = kept.trace
    length = trace.plan_length if trace.valid else math.inf
    return (length, trace.completion.reasoning_tokens, trace.generation, trace.sample_index)


POLICIES: dict[str, CurationPolicy] = {
    "valid": valid,
    "all": everything,
    "best_per_task": best_per_task,
    "newest_generation": newest_generation,
}


def _number(text: str, low: float, high: float) -> float:
    value = float(text)
    if not low <= value <= high:
        raise ValueError
    return value


def _known_feature(name: str) -> str:
    if name not in FEATURES:
        raise ValueError
    return name


POLICY_MAKERS: dict[str, Callable[..., CurationPolicy]] = {
    "at_most": lambda count: partial(at_most, _number(str(int(count)), 1, 1_000_000)),
    "sample": lambda fraction: partial(sample, _number(fraction, 0, 1)),
    "noisy": lambda rate: partial(noisy, _number(rate, 0, 1)),
    "prefer": lambda feature, strength: partial(prefer, _known_feature(feature), _number(strength, -100, 100)),
}
"""Name -> function from the arguments, as text, to the policy; TypeError or ValueError if they do not fit."""

_FORMS = (
    "at_most(k) with k = 1, 2, ...",
    "sample(fraction) and noisy(rate) with a number from 0 to 1",
    f"prefer(feature, strength) with a feature of {', '.join(FEATURES)}",
)


def parse_policy(text: str) -> CurationPolicy:
    """The policy that a configuration names, such as "valid", "at_most(2)" or "prefer(detour, 3)"."""
    match = re.fullmatch(r"\s*(\w+)\s*(?:\(([^()]*)\))?\s*", text)
    name, arguments = (match[1], match[2]) if match else (text, None)
    if name in POLICIES and arguments is None:
        return POLICIES[name]
    if name in POLICY_MAKERS and arguments is not None:
        try:
            return POLICY_MAKERS[name](*(argument.strip() for argument in arguments.split(",")))
        except (TypeError, ValueError):
            pass
    known = ", ".join([*POLICIES, *_FORMS])
    raise ConfigError(f"curation.policies: {text!r} is not a curation policy; there are {known}")


def compose(names: Sequence[str]) -> CurationPolicy:
    """The named policies, one after the other."""
    if not names:
        raise ConfigError('curation.policies: name at least one policy, for example ["all"]')
    policies = [parse_policy(name) for name in names]

    def composed(traces: Sequence[Kept]) -> list[Kept]:
        kept = list(traces)
        for policy in policies:
            kept = policy(kept)
        return sorted(kept, key=lambda one: one.trace.key)

    return composed


def rewarded(baseline: str, traces: Sequence[Kept]) -> list[Kept]:
    """REINFORCE's weights: the reward, 1 for a valid trace and 0 for any other, less a baseline.

    Traces whose weight is 0 have no gradient and are dropped.
    """
    rewards = [float(kept.trace.valid) for kept in traces]
    groups = [(kept.trace.task_id, kept.trace.generation) for kept in traces]
    weights = [
        reward - expected for reward, expected in zip(rewards, BASELINES[baseline](rewards, groups), strict=True)
    ]
    return [replace(kept, weight=weight) for kept, weight in zip(traces, weights, strict=True) if weight]


def _mean(rewards: Sequence[float], groups: Sequence[tuple[str, int]]) -> list[float]:
    return [fmean(rewards)] * len(rewards) if rewards else []


def _leave_one_out(rewards: Sequence[float], groups: Sequence[tuple[str, int]]) -> list[float]:
    """Of each trace the mean reward of the other samples of its task and generation (Kool et al., 2019), or of all
    other traces where there are none: as it does not depend on the trace itself, the gradient stays unbiased."""
    totals: dict[tuple[str, int], float] = defaultdict(float)
    for group, reward in zip(groups, rewards, strict=True):
        totals[group] += reward
    counts, everyone, total = Counter(groups), len(rewards), math.fsum(rewards)
    return [
        (totals[group] - reward) / (counts[group] - 1) if counts[group] > 1 else (total - reward) / max(1, everyone - 1)
        for group, reward in zip(groups, rewards, strict=True)
    ]


BASELINES: dict[str, Callable[[Sequence[float], Sequence[tuple[str, int]]], list[float]]] = {
    "none": lambda rewards, groups: [0.0] * len(rewards),
    "mean": _mean,
    "leave_one_out": _leave_one_out,
}
"""Name -> function from rewards and groups (task, generation) to each trace's expected reward."""


@dataclass(frozen=True, slots=True)
class Pool:
    """What trains the next generation: trace ids with weights, in a fixed order."""

    weights: Mapping[str, float]
    """Trace id -> weight in the loss."""
    by_generation: Mapping[str, int]
    """Generation of origin -> traces; the keys are text, as in JSON."""
    digest: str
    """Content hash of ids and weights."""


def make_pool(policy: CurationPolicy, traces: Sequence[Trace]) -> Pool:
    """The pool of the traces that the policy keeps. What the validator failed on (ERROR) never enters one."""
    kept = policy([Kept(trace) for trace in traces if trace.verdict.status is not Status.ERROR])
    weights = {one.trace.id: one.weight for one in kept}
    origins = Counter(one.trace.generation for one in kept)
    return Pool(weights, {str(g): origins[g] for g in sorted(origins)}, content_hash(weights))
