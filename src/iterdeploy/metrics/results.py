"""How single tasks went, which is what every coverage, comparison and interval is made from.

A task's solve rate is the share of its samples that are valid; the coverage of some tasks is their mean solve rate,
that is the share of tasks that one sample is expected to solve.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist, fmean

from iterdeploy.metrics.records import Interval, Point
from iterdeploy.types import Trace


@dataclass(frozen=True, slots=True)
class TaskResult:
    """How one task went in one generation."""

    generation: int
    split: str
    domain: str
    size: int
    task: str
    valid: int
    samples: int
    temperature: float | None = None
    """Where the task was asked only to measure, outside the loop; None: in the loop, at its temperature."""

    @property
    def rate(self) -> float:
        """The share of its samples that are valid."""
        return self.valid / self.samples


def task_results(traces: Iterable[Trace], solves: Callable[[Trace], bool]) -> list[TaskResult]:
    """How the tasks went that the traces answer, in the order of their first answers. `solves`: what counts."""
    answers: dict[str, list[Trace]] = {}
    for trace in traces:
        answers.setdefault(trace.task_id, []).append(trace)
    return [_result(some[0], sum(map(solves, some)), len(some)) for some in answers.values()]


def _result(trace: Trace, valid: int, samples: int) -> TaskResult:
    return TaskResult(trace.generation, trace.split, trace.domain, trace.size, trace.task_id, valid, samples)


def mean_rate(results: Sequence[TaskResult]) -> float:
    """Coverage: the mean solve rate of the tasks, of which there must be some."""
    return fmean(row.rate for row in results)


def interval_of(results: Sequence[TaskResult]) -> Interval:
    """The interval of their coverage, over tasks."""
    return mean_interval([row.rate for row in results], sum(row.samples for row in results))


def solved(results: Iterable[TaskResult]) -> Point | None:
    """Coverage with its interval; None of no tasks."""
    rows = list(results)
    if not rows:
        return None
    interval = interval_of(rows)
    return Point(mean_rate(rows), interval.low, interval.high)


def merged(results: Iterable[TaskResult]) -> list[TaskResult]:
    """One result for each task, of all its samples."""
    found: dict[str, TaskResult] = {}
    for row in results:
        before = found.get(row.task)
        found[row.task] = row if before is None else _sum(before, row)
    return list(found.values())


def _sum(one: TaskResult, other: TaskResult) -> TaskResult:
    return replace(one, valid=one.valid + other.valid, samples=one.samples + other.samples)


def mean_interval(rates: Sequence[float], samples: int, confidence: float = 0.95) -> Interval:
    """Wilson's score interval for the mean of per-task solve rates in [0, 1].

    With one sample per task this is Wilson's interval. With several, samples of one task are not independent, so the
    number of tasks n is replaced by the effective one, n p(1 - p) / s^2 with s^2 the variance of the rates (the score
    interval for survey data of Korn and Graubard, 1998), but by no more than there are `samples` in all. Where few
    tasks differ from the rest, s^2 is itself uncertain: 1/(4n), the most that one task alone can add to it, stands
    above and below and draws the effective number towards n.

    >>> interval = mean_interval([1.0] * 50 + [0.0] * 50, samples=100)
    >>> round(interval.low, 3), round(interval.high, 3)
    (0.404, 0.596)
    """
    tasks, mean = len(rates), fmean(rates)
    variance = math.fsum((rate - mean) ** 2 for rate in rates) / tasks
    effective = min(float(samples), tasks * (mean * (1 - mean) + 1 / (4 * tasks)) / (variance + 1 / (4 * tasks)))
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    centre = (mean + z * z / (2 * effective)) / (1 + z * z / effective)
    half = z / (1 + z * z / effective) * math.sqrt(mean * (1 - mean) / effective + (z / (2 * effective)) ** 2)
    return Interval(max(0.0, centre - half), min(1.0, centre + half))
