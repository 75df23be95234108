"""A run in one table and one JSON object, from its folder alone."""

from collections.abc import Sequence
from typing import Any

from rich.table import Table

from iterdeploy.record.run_dir import RunDir

VERDICTS = ("valid", "invalid", "unparseable", "truncated", "error")
ACTIVITIES = ("sampling", "validation", "training", "other")
SHOWN = ("tasks", "solved", "coverage", "interval", "mean_plan", "longest_plan", "reasoning_tokens", "pass_at_k",
         "unanimous_at_k", "by_size", "readings", "strict_coverage", "cost_ratio")  # fmt: skip


def status(run_dir: RunDir) -> dict[str, Any]:
    """The run's state and its generations, as `iterdeploy status --json` prints them."""
    return {"run": run_dir.path.name, **run_dir.state(), "generations": generations(run_dir)}


def generations(run_dir: RunDir) -> list[dict[str, Any]]:
    """One entry for each generation that has been measured.

    `seconds` of a generation: sampling and validation of its answers, training of the next one, and all else.
    """
    seconds = run_dir.store.seconds()
    out = []
    for metrics in run_dir.metrics():
        generation = metrics["generation"]
        pool = run_dir.pool(generation - 1) if generation else None
        spent = seconds.get(generation, {})
        out.append(
            {
                "generation": generation,
                "held_out": _shown(metrics["held_out"]),
                "deployed": _shown(metrics["deployed"]),
                "pool": len(pool["weights"]) if pool else 0,
                "verdicts": metrics["verdicts"],
                "diversity": metrics.get("diversity"),
                "drift": metrics.get("drift"),
                "seconds": {activity: round(spent.get(activity, 0.0), 3) for activity in ACTIVITIES},
            }
        )
    return out


def _shown(coverage: dict[str, Any] | None) -> dict[str, Any] | None:
    return coverage and {key: coverage.get(key) for key in SHOWN}


def table(entries: Sequence[dict[str, Any]]) -> Table:
    out = Table(title=None, pad_edge=False)
    out.add_column("gen", justify="right")
    for split in ("held-out", "deployed"):
        out.add_column(f"{split}\ncoverage [95% interval]", justify="right")
        out.add_column("mean\nplan", justify="right")
        out.add_column("longest\nplan", justify="right")
    out.add_column("reasoning\ntokens", justify="right")
    out.add_column("trained\non", justify="right")
    out.add_column("valid / invalid / unparseable / truncated / error", justify="right")
    out.add_column("seconds: sampling / validation / training / other", justify="right")
    for entry in entries:
        cells = [str(entry["generation"])]
        for split in ("held_out", "deployed"):
            cells += _split_cells(entry[split])
        both = [entry[split]["reasoning_tokens"] for split in ("held_out", "deployed") if entry[split]]
        cells.append(f"{sum(both) / len(both):.0f}")
        cells.append(str(entry["pool"] or "-"))
        cells.append(" / ".join(str(entry["verdicts"][verdict]) for verdict in VERDICTS))
        cells.append(" / ".join(f"{entry['seconds'][activity]:.1f}" for activity in ACTIVITIES))
        out.add_row(*cells)
    out.add_section()
    out.add_row("all", *[""] * 8, "time outside sampling, validation, training:", _time_cell(entries))
    return out


def _time_cell(entries: Sequence[dict[str, Any]]) -> str:
    """Seconds of all generations by activity, and the share that is none of the three that the run is for."""
    sums = {activity: sum(entry["seconds"][activity] for entry in entries) for activity in ACTIVITIES}
    share = sums["other"] / max(1e-9, sum(sums.values()))
    return " / ".join(f"{spent:.1f}" for spent in sums.values()) + f" ({share:.1%})"


def _split_cells(coverage: dict[str, Any] | None) -> list[str]:
    if coverage is None:
        return ["-", "-", "-"]
    low, high = coverage["interval"]
    mean = coverage["mean_plan"]
    return [
        f"{coverage['coverage']:.1%} [{low:.1%}, {high:.1%}]",
        "-" if mean is None else f"{mean:.1f}",
        "-" if coverage["longest_plan"] is None else str(coverage["longest_plan"]),
    ]
