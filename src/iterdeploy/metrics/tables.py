"""What each generation can do at each temperature, as a table."""

from collections.abc import Mapping, Sequence

from iterdeploy.metrics.correction import holm
from iterdeploy.metrics.standing import Standing
from iterdeploy.metrics.words import chance, points, share, sizes
from iterdeploy.tables import NOTHING, Table


def by_temperature(standings: Sequence[Standing], against: int = 0) -> Table:
    """By temperature, then by generation. All comparisons in it are corrected together, for they are read together."""
    corrected = corrections(standings)
    rows = []
    for one in sorted(standings, key=lambda one: (one.temperature, one.generation)):
        best = f"{max(one.pass_at_k.items())[1].value:.1%}" if one.samples > 1 else NOTHING
        row = [f"{one.temperature:g}", str(one.generation), str(one.samples), share(one.coverage), best,
               sizes(one.frontiers)]  # fmt: skip
        change = one.paired
        row += [NOTHING] * 4
        if change is not None:
            p = corrected[one.temperature, one.generation]
            row[-4:] = [points(change.difference, change.interval), f"{change.gained:,}", f"{change.lost:,}", chance(p)]
        rows.append(tuple(row))
    return Table(
        "Held-out tasks, by temperature",
        ("temperature", "generation", "answers to each", "coverage", "any of them", "frontier",
         f"against generation {against}", "gained", "lost", "chance"),
        tuple(rows),
        (
            "Any of them: the share of tasks that at least one of so many answers solves. Frontier: the largest size "
            "with a tenth solved. Gained, lost: tasks solved more often, and less often, than by generation "
            f"{against}; chance: the p-value of that, corrected for all rows (Holm).",
        ),
    )  # fmt: skip


def corrections(standings: Sequence[Standing]) -> Mapping[tuple[float, int], float]:
    """(temperature, generation) -> p-value of its comparison, corrected for all of them."""
    found = {(one.temperature, one.generation): one.paired.p for one in standings if one.paired is not None}
    return dict(zip(found, holm(list(found.values())), strict=True))
