"""Which traces train the next generation, and how much each counts.

A curation policy is a function from weighted traces to weighted traces; a run composes several, in the order that the
configuration names them. The paper's curation (arXiv 2512.24940) is `valid` and then `best_per_task`: of all valid
traces of all generations so far, the one with the shortest plan for each task, ties broken by the fewest reasoning
tokens. It stands for users who publish only what worked.

A new policy is a function and one line in `POLICIES`.
"""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from iterdeploy.config import ConfigError
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
    """A random `fraction`; which ones depends on the traces' ids alone, so that a resumed run picks the same."""
    return [kept for kept in traces if int(content_hash("sample", kept.trace.id), 16) < fraction * 2**64]


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

POLICIES_WITH_ARGUMENT: dict[str, Callable[[float, Sequence[Kept]], list[Kept]]] = {
    "at_most": at_most,
    "sample": sample,
}

_ARGUMENT_RANGES = {"at_most": (1, math.inf), "sample": (0, 1)}


def parse_policy(text: str) -> CurationPolicy:
    """The policy that a configuration names, such as "valid" or "at_most(2)"."""
    match = re.fullmatch(r"\s*(\w+)\s*(?:\(\s*([0-9.]+)\s*\))?\s*", text)
    name, argument = (match[1], match[2]) if match else (text, None)
    if name in POLICIES and argument is None:
        return POLICIES[name]
    if name in POLICIES_WITH_ARGUMENT and argument is not None:
        low, high = _ARGUMENT_RANGES[name]
        try:
            value = float(argument)
        except ValueError:
            value = math.nan
        if low <= value <= high and (name != "at_most" or value == int(value)):
            return partial(POLICIES_WITH_ARGUMENT[name], value)
    known = ", ".join([*POLICIES, "at_most(k) with k = 1, 2, ...", "sample(fraction) with a fraction from 0 to 1"])
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
