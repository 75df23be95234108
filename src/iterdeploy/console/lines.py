"""A generation in one line of less than 80 columns, so that a run's table grows line by line."""

from collections.abc import Iterator
from datetime import timedelta

from iterdeploy.metrics.frontier import by_domain
from iterdeploy.metrics.records import Coverage
from iterdeploy.record.run_dir import RunDir
from iterdeploy.tables import NOTHING

COLUMNS = "{:>10}  {:<22}  {:>14}  {:>10}  {:>8}"
HEAD = COLUMNS.format("generation", "held-out coverage", "frontier", "trained on", "time")


def lines(run_dir: RunDir, first: int = 0) -> Iterator[str]:
    """One line for each generation from `first` on that has been measured: its number, its held-out coverage with the
    95% interval, the largest size of which it solves a tenth (by domain), the traces that trained it, the time."""
    measured = run_dir.metrics()
    results = list(run_dir.store.results(len(measured)))
    seconds = run_dir.store.seconds()
    for metrics in measured[first:]:
        number = metrics.generation
        own = [row for row in results if (row.generation, row.split, row.temperature) == (number, "held_out", None)]
        frontiers = [NOTHING if found.size is None else str(found.size) for found in by_domain(own).values()]
        pool = run_dir.pool(number - 1) if number else None
        yield COLUMNS.format(
            number,
            _coverage(metrics.held_out),
            "/".join(frontiers) or NOTHING,
            f"{len(pool.weights):,}" if pool else NOTHING,
            str(timedelta(seconds=round(sum(seconds.get(number, {}).values())))),
        )


def _coverage(held_out: Coverage | None) -> str:
    if held_out is None:
        return NOTHING
    return f"{held_out.coverage:.1%} [{held_out.interval.low:.1%}, {held_out.interval.high:.1%}]"
