"""How single tasks went, which is what every comparison and every interval is made from."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from statistics import fmean

from iterdeploy.metrics.coverage import mean_interval
from iterdeploy.metrics.records import Point


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


def solved(results: Iterable[TaskResult]) -> Point | None:
    """Coverage, the mean solve rate, with its interval over tasks; None of no tasks."""
    rows = list(results)
    if not rows:
        return None
    rates = [row.rate for row in rows]
    interval = mean_interval(rates, sum(row.samples for row in rows))
    return Point(fmean(rates), interval.low, interval.high)


def merged(results: Iterable[TaskResult]) -> list[TaskResult]:
    """One result for each task, of all its samples."""
    found: dict[str, TaskResult] = {}
    for row in results:
        before = found.get(row.task)
        found[row.task] = row if before is None else _sum(before, row)
    return list(found.values())


def _sum(one: TaskResult, other: TaskResult) -> TaskResult:
    return replace(one, valid=one.valid + other.valid, samples=one.samples + other.samples)
