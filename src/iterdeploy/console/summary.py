"""A run in one table and one JSON object, from its folder alone."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from iterdeploy.metrics.form import written
from iterdeploy.metrics.frontier import Frontier
from iterdeploy.metrics.paired import Paired
from iterdeploy.metrics.standing import Standing, standings
from iterdeploy.record.outputs import State
from iterdeploy.record.run_dir import RunDir
from iterdeploy.tables import Table

VERDICTS = ("valid", "invalid", "unparseable", "truncated", "error")
SPLITS = ("held_out", "deployed")
ACTIVITIES = ("sampling", "validation", "training", "other")
SHOWN = ("tasks", "solved", "coverage", "interval", "mean_plan", "longest_plan", "reasoning_tokens", "pass_at_k",
         "unanimous_at_k", "by_size", "readings", "strict_coverage", "cost_ratio")  # fmt: skip


def status(run_dir: RunDir, against: int = 0) -> dict[str, Any]:
    """The run's state and its generations, as `iterdeploy status --json` prints them."""
    return {"run": run_dir.path.name, **_state(run_dir.state()), "generations": generations(run_dir, against)}


def generations(run_dir: RunDir, against: int = 0) -> list[dict[str, Any]]:
    """One entry for each generation that has been measured.

    `temperatures`: what it can do at each temperature, compared with the generation `against`; `frontier` and `paired`
    are those of the loop's own temperature. `seconds` of a generation: sampling and validation of its answers, training
    of the next one, and all else.
    """
    seconds = run_dir.store.seconds()
    own = run_dir.config.sampling.temperature
    by_generation: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for standing in measured(run_dir, against):
        by_generation[standing.generation].append(_standing(standing, against))
    out = []
    for metrics in run_dir.metrics():
        generation = metrics.generation
        temperatures = by_generation[generation]
        here: dict[str, Any] = next((one for one in temperatures if one["temperature"] == own), {})
        plain = written(metrics)
        pool = run_dir.pool(generation - 1) if generation else None
        spent = seconds.get(generation, {})
        out.append(
            {
                "generation": generation,
                "held_out": _shown(plain["held_out"]),
                "deployed": _shown(plain["deployed"]),
                "frontier": here.get("frontier"),
                "frontiers": here.get("frontiers", {}),
                "paired": here.get("paired"),
                "temperatures": temperatures,
                "pool": len(pool.weights) if pool else 0,
                "verdicts": plain["verdicts"],
                "diversity": plain["diversity"] or None,
                "drift": plain["drift"],
                "seconds": {activity: round(spent.get(activity, 0.0), 3) for activity in ACTIVITIES},
            }
        )
    return out


def measured(run_dir: RunDir, against: int = 0) -> list[Standing]:
    """What each measured generation can do at each temperature."""
    results = run_dir.store.results(len(run_dir.metrics()))
    return standings(results, run_dir.config.sampling.temperature, against)


def _standing(standing: Standing, against: int) -> dict[str, Any]:
    """`frontier` is None for a run of several domains, whose sizes have different units: see `frontiers`."""
    frontiers = {domain: _frontier(one) for domain, one in standing.frontiers.items()}
    coverage = standing.coverage
    return {
        "temperature": standing.temperature,
        "tasks": standing.tasks,
        "samples": standing.samples,
        "coverage": coverage.value,
        "interval": [coverage.low, coverage.high],
        "frontier": next(iter(frontiers.values())) if len(frontiers) == 1 else None,
        "frontiers": frontiers,
        "paired": standing.paired and _paired(standing.paired, against),
        "pass_at_k": {str(k): point.value for k, point in standing.pass_at_k.items()},
    }


def _frontier(one: Frontier) -> dict[str, Any]:
    return {"size": one.size, "coverage": one.coverage, "interval": [one.low, one.high], "largest": one.largest}


def _paired(one: Paired, against: int) -> dict[str, Any]:
    return {
        "against": against,
        "tasks": one.tasks,
        "gained": one.gained,
        "lost": one.lost,
        "difference": one.difference,
        "interval": [one.interval.low, one.interval.high],
        "p": one.p,
    }


def _state(state: State) -> dict[str, Any]:
    """As stopped.json has it, or with the process that works on the run."""
    known = {"pid": state.process, "reason": state.reason, "counts": dict(state.counts)}
    return {"state": state.name, **{name: value for name, value in known.items() if value}}


def _shown(coverage: dict[str, Any] | None) -> dict[str, Any] | None:
    return coverage and {key: coverage.get(key) for key in SHOWN}


def table(entries: Sequence[dict[str, Any]]) -> Table:
    """Every number, for a wide terminal."""
    plans = any(entry[split] and entry[split]["mean_plan"] is not None for entry in entries for split in SPLITS)
    names = ("coverage", "mean plan")[: 1 + plans]
    coverage = [f"{split}\n{name}" for split in ("held-out", "deployed") for name in names]
    rows = [_row(entry, plans) for entry in entries]
    rows.append(
        ("all", *[""] * (len(coverage) + 3), "time outside sampling, validation, training:", _time_cell(entries))
    )
    return Table(
        "",
        ("gen", *coverage, "frontier", "reasoning\ntokens", "trained\non",
         "valid / invalid / unparseable / truncated / error", "seconds: sampling / validation / training / other"),
        tuple(rows),
    )  # fmt: skip


def _row(entry: dict[str, Any], plans: bool) -> tuple[str, ...]:
    both = [entry[split]["reasoning_tokens"] for split in SPLITS if entry[split]]
    return (
        str(entry["generation"]),
        *(cell for split in SPLITS for cell in _split_cells(entry[split])[: 1 + plans]),
        _frontier_cell(entry),
        f"{sum(both) / len(both):.0f}",
        str(entry["pool"] or "-"),
        " / ".join(str(entry["verdicts"][verdict]) for verdict in VERDICTS),
        " / ".join(f"{entry['seconds'][activity]:.1f}" for activity in ACTIVITIES),
    )


def _time_cell(entries: Sequence[dict[str, Any]]) -> str:
    """Seconds of all generations by activity, and the share that is none of the three that the run is for."""
    sums = {activity: sum(entry["seconds"][activity] for entry in entries) for activity in ACTIVITIES}
    share = sums["other"] / max(1e-9, sum(sums.values()))
    return " / ".join(f"{spent:.1f}" for spent in sums.values()) + f" ({share:.1%})"


def _split_cells(coverage: dict[str, Any] | None) -> list[str]:
    if coverage is None:
        return ["-", "-"]
    low, high = coverage["interval"]
    mean = coverage["mean_plan"]
    return [
        f"{coverage['coverage']:.1%} [{low:.1%}, {high:.1%}]",
        "-" if mean is None else f"{mean:.1f}",
    ]


def _frontier_cell(entry: dict[str, Any]) -> str:
    """The sizes alone, those of several domains one after the other."""
    sizes = [one["size"] for one in entry["frontiers"].values()]
    return " / ".join("-" if size is None else str(size) for size in sizes) or "-"
