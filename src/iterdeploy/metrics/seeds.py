"""Several seeds of one configuration as one: means, ratios and paired differences with 95% intervals.

What differs between seeds is everything that chance decides: the tasks, the sampling, the training. So the spread of
the seeds' values holds all of it, and a t interval over seeds covers it. Two things are added to it, both erring on the
wide side: where seeds share their tasks, that spread says nothing of other tasks, and the tasks' own variance is added;
and an interval never lies within the one over all seeds' tasks, which a few seeds that agree by luck would do where
successes are rare. A single seed has the interval over its tasks and nothing of what another seed would do.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from statistics import NormalDist, fmean, stdev, variance

from iterdeploy.metrics import student
from iterdeploy.metrics.paired import Paired, paired
from iterdeploy.metrics.records import Interval, Point
from iterdeploy.metrics.results import TaskResult, merged, solved

CONFIDENCE = 0.95
HALVINGS = 40

Seeds = Sequence[Sequence[TaskResult]]
"""How the tasks of each seed went."""


def mean(values: Sequence[float]) -> Point | None:
    """Mean over seeds of any number, with its t interval, which one seed has not; None of nothing.

    >>> mean([0.25])
    Point(value=0.25, low=None, high=None)
    """
    if not values:
        return None
    if len(values) == 1:
        return Point(values[0])
    centre, half = fmean(values), _half(values)
    return Point(centre, centre - half, centre + half)


def coverage(seeds: Seeds) -> Point | None:
    """Mean coverage over seeds; None where a seed has no such tasks."""
    if not seeds or not all(seeds):
        return None
    if len(seeds) == 1:
        return solved(seeds[0])
    values = [fmean(row.rate for row in rows) for rows in seeds]
    tasks = merged(row for rows in seeds for row in rows)
    half = _half(values, [row.rate for row in tasks] if shared(seeds) else ())
    pooled = solved(tasks)
    assert pooled is not None and pooled.low is not None and pooled.high is not None
    centre = fmean(values)
    return Point(centre, max(0.0, min(centre - half, pooled.low)), min(1.0, max(centre + half, pooled.high)))


def shared(seeds: Seeds) -> bool:
    """Whether two seeds have a task in common."""
    tasks = [row.task for rows in seeds for row in rows]
    return len(set(tasks)) < len(tasks)


def ratio(firsts: Seeds, lasts: Seeds) -> Point | None:
    """Coverage of the last generation by that of the first, means over the seeds; None where either is 0.

    The interval is made on the logarithm, by linearisation (the delta method): the ratio's logarithm changes by
    b_i / b - a_i / a if one seed's, or one task's, coverages a_i and b_i are taken for the means a and b.
    """
    if not firsts or not all([*firsts, *lasts]):
        return None
    low, high = (fmean(fmean(row.rate for row in rows) for rows in seeds) for seeds in (firsts, lasts))
    if not low or not high:
        return None
    if len(firsts) == 1:
        half = _normal(CONFIDENCE) * math.sqrt(_variance_of_log(firsts[0], lasts[0], low, high))
    else:
        logs = [
            fmean(row.rate for row in last) / high - fmean(row.rate for row in first) / low
            for first, last in zip(firsts, lasts, strict=True)
        ]
        half = _half(logs, _logs_by_task(firsts, lasts, low, high) if shared(firsts) else ())
    return Point(*(high / low * math.exp(side * half) for side in (0, -1, 1)))


def difference(befores: Seeds, afters: Seeds) -> Paired | None:
    """Coverage after less coverage before, paired by task, seed by seed; None where a seed has no task in both.

    Of several seeds, the p-value is the larger of those over seeds and over tasks.
    """
    found = [one for pair in zip(befores, afters, strict=True) if (one := paired(*pair)) is not None]
    if not found or len(found) < len(befores):
        return None
    if len(found) == 1:
        return found[0]
    each = [one.difference for one in found]
    sides = [merged(row for rows in seeds for row in rows) for seeds in (befores, afters)]
    pooled = paired(*sides)
    assert pooled is not None
    centre = fmean(each)
    before, after = ({row.task: row.rate for row in rows} for rows in sides)
    changes = [after[task] - rate for task, rate in before.items() if task in after] if shared(befores) else []
    half = _half(each, changes)
    interval = Interval(min(centre - half, pooled.interval.low), max(centre + half, pooled.interval.high))
    return replace(
        pooled,
        difference=centre,
        interval=Interval(max(-1.0, interval.low), min(1.0, interval.high)),
        p=max(pooled.p, _level(each, changes)),
    )


def _half(values: Sequence[float], by_task: Sequence[float] = (), confidence: float = CONFIDENCE) -> float:
    """Half the t interval of the mean of `values`, one a seed; `by_task`: of the tasks that the seeds share."""
    over_seeds = student.quantile(confidence, len(values) - 1) * stdev(values) / math.sqrt(len(values))
    if len(by_task) < 2:
        return over_seeds
    return math.hypot(over_seeds, _normal(confidence) * math.sqrt(variance(by_task) / len(by_task)))


def _level(values: Sequence[float], by_task: Sequence[float]) -> float:
    """The p-value that belongs to `_half`: the level at which the interval of the mean just reaches 0."""
    low, high = 0.0, 1.0  # confidence
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        reaches = _half(values, by_task, middle) >= abs(fmean(values))
        low, high = (low, middle) if reaches else (middle, high)
    return 1 - low


def _normal(confidence: float) -> float:
    return NormalDist().inv_cdf((1 + confidence) / 2)


def _variance_of_log(first: Sequence[TaskResult], last: Sequence[TaskResult], low: float, high: float) -> float:
    """Of log(high / low), the means of one run's rates: paired where both generations were asked the same tasks."""
    before, after = ({row.task: row.rate for row in rows} for rows in (first, last))
    if before.keys() == after.keys() and len(before) > 1:
        return variance(_logs_by_task([first], [last], low, high)) / len(before)
    return sum(
        variance([rate / centre for rate in rates.values()]) / len(rates)
        for rates, centre in ((before, low), (after, high))
        if len(rates) > 1
    )


def _logs_by_task(firsts: Seeds, lasts: Seeds, low: float, high: float) -> list[float]:
    """What each task asked in both contributes to the logarithm of the ratio."""
    before, after = ({row.task: row.rate for row in merged(r for rows in s for r in rows)} for s in (firsts, lasts))
    return [after[task] / high - rate / low for task, rate in before.items() if task in after]
