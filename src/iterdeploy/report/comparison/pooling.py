"""Several seeds as one: means with 95% intervals, and the ratio of the last generation's coverage to the first's.

What differs between seeds is everything that chance decides: the tasks, the sampling, the training. So the spread of
the seeds' coverages holds seed-to-seed and task-sampling variation together, and a t interval over seeds covers both.
Where seeds share their tasks, that spread says nothing of other tasks: the tasks' own variance is then added, erring on
the wide side. A single seed has the interval over its tasks and nothing of what another seed would do.
"""

import math
from collections.abc import Sequence
from statistics import fmean, stdev, variance

from iterdeploy.report.drawing.trend import Point
from iterdeploy.report.facts.counts import TaskResult, solved

Z = 1.959964
_T = (12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.3060, 2.2622, 2.2281)


def t_quantile(freedom: int) -> float:
    """The 97.5% quantile of Student's t: a table up to 10 degrees of freedom, then its expansion in 1 / freedom.

    >>> t_quantile(2), round(t_quantile(30), 3)
    (4.3027, 2.042)
    """
    if freedom <= len(_T):
        return _T[freedom - 1]
    first, second = (Z**3 + Z) / 4, (5 * Z**5 + 16 * Z**3 + 3 * Z) / 96
    return Z + first / freedom + second / freedom**2


def mean(values: Sequence[float]) -> Point | None:
    """Mean over seeds with its t interval, which one seed has not; None of nothing.

    >>> mean([0.25])
    Point(value=0.25, low=None, high=None)
    """
    if not values:
        return None
    if len(values) == 1:
        return Point(values[0])
    centre, half = fmean(values), t_quantile(len(values) - 1) * stdev(values) / math.sqrt(len(values))
    return Point(centre, centre - half, centre + half)


def coverage(seeds: Sequence[Sequence[TaskResult]]) -> Point | None:
    """Mean coverage over seeds, each given by how its tasks went; None where a seed has no such tasks."""
    if not seeds or not all(seeds):
        return None
    if len(seeds) == 1:
        one = solved(seeds[0])
        return None if one is None else Point(one.value, one.low, one.high)
    values = [fmean(row.rate for row in rows) for rows in seeds]
    half = t_quantile(len(values) - 1) * stdev(values) / math.sqrt(len(values))
    if shared(seeds):
        half = math.hypot(half, Z * math.sqrt(_variance_over_tasks(seeds)))
    centre = fmean(values)
    return Point(centre, max(0.0, centre - half), min(1.0, centre + half))


def shared(seeds: Sequence[Sequence[TaskResult]]) -> bool:
    """Whether two seeds have a task in common."""
    tasks = [row.task for rows in seeds for row in rows]
    return len(set(tasks)) < len(tasks)


def _variance_over_tasks(seeds: Sequence[Sequence[TaskResult]]) -> float:
    """Of the mean over tasks of what the seeds solve of each on average."""
    rates: dict[str, list[float]] = {}
    for row in (row for rows in seeds for row in rows):
        rates.setdefault(row.task, []).append(row.rate)
    means = [fmean(values) for values in rates.values()]
    return variance(means) / len(means) if len(means) > 1 else 0.0


def ratio(firsts: Sequence[Sequence[TaskResult]], lasts: Sequence[Sequence[TaskResult]]) -> Point | None:
    """Coverage of the last generation by that of the first, one entry a seed; None where a seed solves nothing.

    The interval is made on the logarithm: over seeds by t, for a single seed by the delta method over its tasks, paired
    where both generations were asked the same ones.
    """
    if not firsts or not all(row.valid for row in map(_best, [*firsts, *lasts])):
        return None
    logs = [
        math.log(fmean(row.rate for row in last) / fmean(row.rate for row in first))
        for first, last in zip(firsts, lasts, strict=True)
    ]
    if len(logs) > 1:
        half = t_quantile(len(logs) - 1) * stdev(logs) / math.sqrt(len(logs))
    else:
        half = Z * math.sqrt(_variance_of_log(firsts[0], lasts[0]))
    return Point(*(math.exp(fmean(logs) + side * half) for side in (0, -1, 1)))


def _best(rows: Sequence[TaskResult]) -> TaskResult:
    return max(rows, key=lambda row: row.valid)


def _variance_of_log(first: Sequence[TaskResult], last: Sequence[TaskResult]) -> float:
    """Of log(mean of last / mean of first)."""
    before, after = ({row.task: row.rate for row in rows} for rows in (first, last))
    low, high = fmean(before.values()), fmean(after.values())
    if before.keys() == after.keys() and len(before) > 1:
        return variance([after[task] / high - before[task] / low for task in before]) / len(before)
    return sum(
        variance([rate / centre for rate in rates.values()]) / len(rates)
        for rates, centre in ((before, low), (after, high))
        if len(rates) > 1
    )
