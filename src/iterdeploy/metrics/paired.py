"""Two sets of answers to the same tasks, compared task by task.

Two generations of a run, or two runs with the same seed, answer the same held-out tasks. Most of what makes coverage
vary is how hard the tasks are, and that is the same on both sides: it cancels in the difference of each task's solve
rate.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import NormalDist, fmean, pvariance

from iterdeploy.metrics.records import Interval
from iterdeploy.metrics.results import TaskResult

CHANCE = 0.05
"""A difference is claimed when its p-value is smaller than this."""
REPLICATES, SEED = 10_000, 0
"""Of the bootstrap: the same data always have the same interval."""


@dataclass(frozen=True, slots=True)
class Paired:
    """How coverage differs on the tasks that both sides answered."""

    tasks: int
    gained: int
    """Tasks whose solve rate rose: with one sample each, those that are solved and were not."""
    lost: int
    """Tasks whose solve rate fell."""
    difference: float
    """Mean over the tasks of the solve rate after less the solve rate before."""
    interval: Interval
    p: float
    """Two-sided, exact p-value of the hypothesis that nothing changed."""


def paired(before: Iterable[TaskResult], after: Iterable[TaskResult]) -> Paired | None:
    """None where the two share no task. Each side has one result for each of its tasks."""
    known = {row.task: row for row in before}
    pairs = [(known[row.task], row) for row in after if row.task in known]
    if not pairs:
        return None
    changes = [now.rate - then.rate for then, now in pairs]
    unit = math.lcm(*{row.samples for pair in pairs for row in pair})
    steps = [
        now.valid * (unit // now.samples) - then.valid * (unit // then.samples) for then, now in pairs
    ]  # the changes as whole multiples of 1 / unit
    gained, lost = sum(step > 0 for step in steps), sum(step < 0 for step in steps)
    once = unit == 1
    grain = math.sqrt(fmean(1 / row.samples for pair in pairs for row in pair))
    return Paired(
        tasks=len(pairs),
        gained=gained,
        lost=lost,
        difference=fmean(changes),
        interval=_normal([*changes, 1, -1]) if once else _bootstrap([*changes, grain, -grain]),
        p=mcnemar(gained, lost) if once else sign_flips(steps),
    )


def equivalent(interval: Interval, margin: float) -> bool:
    """Whether the difference is smaller than the margin, in either direction, with 95% confidence.

    Two one-sided tests (Schuirmann, 1987) at 2.5% each. Without a margin there is nothing to say: that no difference
    was found does not mean that there is none.
    """
    return -margin < interval.low and interval.high < margin


def mcnemar(gained: int, lost: int) -> float:
    """McNemar's exact test (1947): if nothing changed, each task that differs was gained or lost with probability 1/2.

    >>> round(mcnemar(83, 42), 4)
    0.0003
    """
    differ = gained + lost
    tail = sum(math.comb(differ, count) for count in range(min(gained, lost) + 1))
    return min(1.0, 2 * tail / (1 << differ))


def sign_flips(steps: Sequence[int]) -> float:
    """P(|sum of +-step| >= |sum of steps|) over all equally likely signs: Fisher's randomisation test (1935).

    If nothing changed, before and after may be swapped in every task. With steps of 1 it is McNemar's test.

    >>> sign_flips([1, 1, 1, 1, 1, -1]), mcnemar(5, 1)
    (0.21875, 0.21875)
    """
    import numpy as np

    chances = np.ones(1)  # of the sums -reach, ..., reach in steps of 1
    for step in filter(None, map(abs, steps)):
        chances = (np.pad(chances, (0, 2 * step)) + np.pad(chances, (2 * step, 0))) / 2
    reach = len(chances) // 2
    sums = np.abs(np.arange(-reach, reach + 1))
    return min(1.0, float(chances[sums >= abs(sum(steps))].sum()))


def _normal(changes: Sequence[float]) -> Interval:
    """The adjusted interval of Bonett and Price (2012): as if one task more had been gained, and one more lost.

    Without those two, it would be a single point where no task changed.
    """
    half = NormalDist().inv_cdf(1 - CHANCE / 2) * math.sqrt(pvariance(changes) / len(changes))
    return _within(fmean(changes) - half, fmean(changes) + half)


def _bootstrap(changes: Sequence[float]) -> Interval:
    """Percentiles of the mean change over tasks drawn with replacement: a task keeps its samples together."""
    import numpy as np

    values, counts = np.unique(np.round(changes, 12), return_counts=True)
    shares = counts / len(changes)
    means = np.random.default_rng(SEED).multinomial(len(changes), shares, size=REPLICATES) @ values / len(changes)
    return _within(*map(float, np.quantile(means, [CHANCE / 2, 1 - CHANCE / 2])))


def _within(low: float, high: float) -> Interval:
    return Interval(max(-1.0, low), min(1.0, high))
