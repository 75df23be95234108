"""What each generation can do at each temperature that it was measured at, and what changed since the first."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from iterdeploy.metrics import pass_at_k
from iterdeploy.metrics.frontier import Frontier, by_domain
from iterdeploy.metrics.paired import Paired, paired
from iterdeploy.metrics.records import Point
from iterdeploy.metrics.results import TaskResult, merged, solved


@dataclass(frozen=True, slots=True)
class Standing:
    """Of one generation's answers to held-out tasks at one temperature."""

    generation: int
    temperature: float
    tasks: int
    samples: int
    """Per task, at most."""
    coverage: Point
    frontiers: Mapping[str, Frontier]
    """By domain."""
    paired: Paired | None
    """Against the earlier generation at the same temperature; None for that one itself, and where it has none."""
    pass_at_k: Mapping[int, Point]


def standings(results: Iterable[TaskResult], temperature: float, against: int = 0) -> list[Standing]:
    """In the order (generation, temperature). All answers to a task at one temperature count together.

    `temperature`: that of the loop's own answers. `against`: the generation that all others are compared with.
    """
    groups: dict[tuple[int, float], list[TaskResult]] = defaultdict(list)
    for row in results:
        if row.split == "held_out":
            groups[row.generation, temperature if row.temperature is None else row.temperature].append(row)
    found = {key: merged(rows) for key, rows in sorted(groups.items())}
    return [_standing(key, rows, found.get((against, key[1]), ()), against) for key, rows in found.items()]


def _standing(
    key: tuple[int, float], rows: Sequence[TaskResult], first: Sequence[TaskResult], against: int
) -> Standing:
    generation, temperature = key
    coverage = solved(rows)
    assert coverage is not None
    return Standing(
        generation=generation,
        temperature=temperature,
        tasks=len(rows),
        samples=max(row.samples for row in rows),
        coverage=coverage,
        frontiers=by_domain(rows),
        paired=None if generation == against else paired(first, rows),
        pass_at_k=pass_at_k.curve(rows),
    )
