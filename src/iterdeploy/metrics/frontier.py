"""The frontier: the largest size of which at least a tenth of the tasks is solved.

It replaces the longest plan, which is the luckiest of all answers and grows with their number. A size counts as solved
by its own tasks alone, so the frontier is a size that was asked; nothing is said of sizes between two that were.

Its interval goes from the largest size whose coverage is at least a tenth with confidence (the lower end of the 95%
interval is) to the largest one whose coverage may be (the upper end is). Where it ends at the largest size asked, the
frontier may lie beyond: the tasks end there, not the model.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from iterdeploy.metrics.records import Point
from iterdeploy.metrics.results import TaskResult, solved

SOLVED = 0.1


@dataclass(frozen=True, slots=True)
class Frontier:
    size: int | None
    """None: of no size is a tenth solved."""
    coverage: float | None
    """Coverage of the tasks of that size."""
    low: int | None
    high: int | None
    """The ends of the interval; None: below the smallest size asked."""
    largest: int
    """The largest size asked."""


def frontier(results: Iterable[TaskResult]) -> Frontier | None:
    """The frontier on tasks of one domain; None without tasks."""
    by_size: dict[int, list[TaskResult]] = {}
    for row in results:
        by_size.setdefault(row.size, []).append(row)
    return frontier_of({size: point for size, rows in by_size.items() if (point := solved(rows)) is not None})


def by_domain(results: Iterable[TaskResult]) -> dict[str, Frontier]:
    """Domain -> frontier: each domain has its own unit of size."""
    rows: dict[str, list[TaskResult]] = {}
    for row in results:
        rows.setdefault(row.domain, []).append(row)
    return {domain: found for domain, some in sorted(rows.items()) if (found := frontier(some)) is not None}


def frontier_of(coverage: Mapping[int, Point]) -> Frontier | None:
    """The frontier, given each size's coverage with its interval.

    >>> frontier_of({3: Point(0.9, 0.8, 1.0), 4: Point(0.2, 0.1, 0.3), 6: Point(0.05, 0.0, 0.15), 7: Point(0, 0, 0.06)})
    Frontier(size=4, coverage=0.2, low=4, high=6, largest=7)
    """
    if not coverage:
        return None
    size = _largest({size: point.value for size, point in coverage.items()})
    return Frontier(
        size=size,
        coverage=None if size is None else coverage[size].value,
        low=_largest({size: point.low for size, point in coverage.items()}),
        high=_largest({size: point.high for size, point in coverage.items()}),
        largest=max(coverage),
    )


def _largest(shares: Mapping[int, float | None]) -> int | None:
    return max((size for size, share in shares.items() if share is not None and share >= SOLVED), default=None)
