"""Which traces train the next generation, and how much each counts.

A curation policy is a function from weighted traces to weighted traces; a run composes several, in the order that the
configuration names them. The paper's curation (arXiv 2512.24940) is `valid` and then `best_per_task`: of all valid
traces of all generations so far, the best for each task, which in planning is the one with the shortest plan, ties
broken by the fewest reasoning tokens. It stands for users who publish only what worked. Users who are mistaken
(`noisy`) or who like something for its own sake (`prefer`) are policies as well.

Your own is such a function, named as "file.py:function" or "package.module:function"; with arguments, as in
"file.py:maker(3)", it is a function that makes one. What a policy asks for may be said in attributes, for the audit and
the dry run: `asks_for`, a mapping from features to whether more (positive) or less (negative) of them is wanted, and
`per_task`, the largest number of a task's traces that it keeps.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean

from iterdeploy.curation.features import Feature
from iterdeploy.types import NOTHING, Feedback, Status, Trace, TrainingPool, Verdict, WeightedTrace, content_hash

Keep = Callable[[Sequence[WeightedTrace]], Sequence[WeightedTrace]]


@dataclass(frozen=True, slots=True)
class CurationPolicy:
    """A function over weighted traces, with what it is known to ask for."""

    name: str
    keep: Keep
    asks_for: Mapping[str, float] = field(default_factory=dict)
    """Feature -> how much more (positive) or less (negative) of it is wanted, by intention."""
    per_task: int | None = None
    """The largest number of a task's traces that it keeps; None: there is none."""
    generations: int | None = None
    """How many of the latest generations it looks at; None: all of them."""
    valid_only: bool = False

    def __call__(self, traces: Sequence[WeightedTrace]) -> list[WeightedTrace]:
        return list(self.keep(traces))


def valid(traces: Sequence[WeightedTrace]) -> list[WeightedTrace]:
    """Only valid traces."""
    return [weighted for weighted in traces if weighted.trace.valid]


def everything(traces: Sequence[WeightedTrace]) -> list[WeightedTrace]:
    """All traces, valid or not: the ablation. Those that the validator failed on (ERROR) stay out."""
    return [weighted for weighted in traces if weighted.trace.verdict.status is not Status.ERROR]


def newest_generation(traces: Sequence[WeightedTrace]) -> list[WeightedTrace]:
    """Only the traces of the latest generation among them: no memory."""
    newest = max((weighted.trace.generation for weighted in traces), default=0)
    return [weighted for weighted in traces if weighted.trace.generation == newest]


def at_most(count: int, traces: Sequence[WeightedTrace]) -> list[WeightedTrace]:
    """The best `count` traces of each task."""
    by_task: dict[str, list[WeightedTrace]] = defaultdict(list)
    for weighted in traces:
        by_task[weighted.trace.task_id].append(weighted)
    return [weighted for group in by_task.values() for weighted in sorted(group, key=preference)[:count]]


def sample(fraction: float, traces: Sequence[WeightedTrace]) -> list[WeightedTrace]:
    """A random `fraction`."""
    return [weighted for weighted in traces if _chance("sample", weighted.trace) < fraction]


def noisy(rate: float, traces: Sequence[WeightedTrace]) -> list[WeightedTrace]:
    """All valid traces, and of the others a random share of `rate`: users who take a wrong answer for a right one."""
    return [weighted for weighted in traces if weighted.trace.valid or _chance("noisy", weighted.trace) < rate]


def prefer(name: str, value: Feature, strength: float, traces: Sequence[WeightedTrace]) -> list[WeightedTrace]:
    """Each trace is published at random, with odds of exp(strength * (feature - 1/2)): users with a taste of their own.

    With a marker of 0 or 1 and a strength of 3, 82% of the traces that have it are published and 18% of the others. So
    `strength` is the log-odds that the audit has to find.
    """

    def published(trace: Trace) -> bool:
        return _chance(f"prefer {name}", trace) < _logistic(strength * (value(trace) - 0.5))

    return [weighted for weighted in traces if published(weighted.trace)]


def _logistic(log_odds: float) -> float:
    return 1 / (1 + math.exp(-max(-700.0, min(700.0, log_odds))))  # beyond, exp overflows and the result is 0 or 1


def _chance(purpose: str, trace: Trace) -> float:
    """A number in [0, 1) that depends on the trace's id alone, so that a resumed run draws the same."""
    return int(content_hash(purpose, trace.id), 16) / 2**64


def preference(weighted: WeightedTrace) -> tuple[float, ...]:
    """Smaller is better: valid, then the task set's order, then the earlier one."""
    trace = weighted.trace
    return (not trace.valid, *weighted.rank, trace.generation, trace.sample_index)


def weigh(
    traces: Iterable[Trace],
    order: Callable[[Verdict], tuple[float, ...]],
    feedback: Mapping[str, tuple[Feedback, ...]] = NOTHING,
    askers: Mapping[str, str] = NOTHING,
) -> list[WeightedTrace]:
    """The traces, all of weight 1, with their rank: the task set's `order` of valid answers, then the fewest reasoning
    tokens. `feedback` and `askers`: trace id -> what users say of it, and who asked for it."""
    return [
        WeightedTrace(
            trace,
            rank=(*(order(trace.verdict) if trace.valid else ()), trace.totals.reasoning_tokens),
            feedback=feedback.get(trace.id, ()),
            asker=askers.get(trace.id, ""),
        )
        for trace in traces
    ]


def compose(policies: Sequence[CurationPolicy]) -> Keep:
    """The policies, one after the other; what they keep in the order of the traces' keys."""

    def composed(traces: Sequence[WeightedTrace]) -> list[WeightedTrace]:
        kept = list(traces)
        for policy in policies:
            kept = policy(kept)
        return sorted(kept, key=lambda weighted: weighted.trace.key)

    return composed


def rewarded(baseline: str, traces: Sequence[WeightedTrace]) -> list[WeightedTrace]:
    """REINFORCE's weights: the reward, 1 for a valid trace and 0 for any other, less a baseline.

    Traces whose weight is 0 have no gradient and are dropped.
    """
    rewards = [float(weighted.trace.valid) for weighted in traces]
    groups = [(weighted.trace.task_id, weighted.trace.generation) for weighted in traces]
    weights = [
        reward - expected for reward, expected in zip(rewards, BASELINES[baseline](rewards, groups), strict=True)
    ]
    return [replace(weighted, weight=weight) for weighted, weight in zip(traces, weights, strict=True) if weight]


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


def make_pool(keep: Keep, traces: Sequence[WeightedTrace]) -> TrainingPool:
    """The pool of the traces that the policies keep. What the validator failed on (ERROR) never enters one."""
    kept = keep([weighted for weighted in traces if weighted.trace.verdict.status is not Status.ERROR])
    weights = {weighted.trace.id: weighted.weight for weighted in kept}
    origins = Counter(weighted.trace.generation for weighted in kept)
    return TrainingPool(weights, {str(g): origins[g] for g in sorted(origins)}, content_hash(weights))
