"""A run in one table and one JSON object, from its folder alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from iterdeploy.metrics.form import written
from iterdeploy.metrics.frontier import Frontier
from iterdeploy.metrics.paired import Paired
from iterdeploy.metrics.records import Coverage, Metrics
from iterdeploy.metrics.standing import Standing, standings
from iterdeploy.record.outputs import State
from iterdeploy.record.run_dir import RunDir
from iterdeploy.tables import NOTHING, Table
from iterdeploy.types import JUDGED

SPLITS = ("held_out", "deployed")
ACTIVITIES = ("sampling", "validation", "training", "other")
SHOWN = ("tasks", "solved", "coverage", "interval", "mean_plan", "longest_plan", "reasoning_tokens", "pass_at_k",
         "unanimous_at_k", "by_size", "readings", "strict_coverage", "cost_ratio")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Measured:
    """A generation that has been measured."""

    metrics: Metrics
    standings: Sequence[Standing]
    """What it can do at each temperature."""
    own: Standing | None
    """At the loop's own temperature; None without held-out tasks."""
    pool: int
    """Traces that trained it."""
    seconds: Mapping[str, float]
    """Activity -> seconds: sampling and validation of its answers, training of the next generation, and all else."""


@dataclass(frozen=True, slots=True)
class Summary:
    name: str
    state: State
    against: int
    """The generation that all others are compared with."""
    generations: Sequence[Measured]

    @property
    def standings(self) -> list[Standing]:
        return [standing for generation in self.generations for standing in generation.standings]


def summary(run_dir: RunDir, against: int = 0) -> Summary:
    """The run's state and its generations, each compared with the generation `against`."""
    own = run_dir.config.sampling.temperature
    measured = run_dir.metrics()
    found = standings(run_dir.store.results(len(measured)), own, against)
    seconds = run_dir.store.seconds()
    generations = []
    for metrics in measured:
        number = metrics.generation
        some = [standing for standing in found if standing.generation == number]
        pool = run_dir.pool(number - 1) if number else None
        spent = seconds.get(number, {})
        generations.append(
            Measured(
                metrics=metrics,
                standings=some,
                own=next((standing for standing in some if standing.temperature == own), None),
                pool=len(pool.weights) if pool else 0,
                seconds={activity: spent.get(activity, 0.0) for activity in ACTIVITIES},
            )
        )
    return Summary(run_dir.path.name, run_dir.state(), against, generations)


def table(generations: Sequence[Measured]) -> Table:
    """Every number, for a wide terminal."""
    plans = any(
        found and found.mean_plan is not None for one in generations for found in map(one.metrics.coverage, SPLITS)
    )
    names = ("coverage", "mean plan")[: 1 + plans]
    coverage = [f"{split}\n{name}" for split in ("held-out", "deployed") for name in names]
    rows = [_row(generation, plans) for generation in generations]
    rows.append(
        ("all", *[""] * (len(coverage) + 3), "time outside sampling, validation, training:", _time_cell(generations))
    )
    return Table(
        "",
        ("gen", *coverage, "frontier", "reasoning\ntokens", "trained\non", " / ".join(JUDGED),
         "seconds: sampling / validation / training / other"),
        tuple(rows),
    )  # fmt: skip


def _row(generation: Measured, plans: bool) -> tuple[str, ...]:
    metrics = generation.metrics
    splits = [metrics.coverage(split) for split in SPLITS]
    reasoning = [found.reasoning_tokens for found in splits if found and found.reasoning_tokens is not None]
    return (
        str(metrics.generation),
        *(cell for found in splits for cell in _split_cells(found)[: 1 + plans]),
        _frontier_cell(generation.own),
        f"{fmean(reasoning):.0f}" if reasoning else NOTHING,
        str(generation.pool or NOTHING),
        " / ".join(str(metrics.verdicts[status]) for status in JUDGED),
        " / ".join(f"{generation.seconds[activity]:.1f}" for activity in ACTIVITIES),
    )


def _time_cell(generations: Sequence[Measured]) -> str:
    """Seconds of all generations by activity, and the share that is none of the three that the run is for."""
    sums = {activity: sum(one.seconds[activity] for one in generations) for activity in ACTIVITIES}
    share = sums["other"] / max(1e-9, sum(sums.values()))
    return " / ".join(f"{spent:.1f}" for spent in sums.values()) + f" ({share:.1%})"


def _split_cells(coverage: Coverage | None) -> list[str]:
    if coverage is None:
        return [NOTHING, NOTHING]
    interval, mean = coverage.interval, coverage.mean_plan
    return [
        f"{coverage.coverage:.1%} [{interval.low:.1%}, {interval.high:.1%}]",
        NOTHING if mean is None else f"{mean:.1f}",
    ]


def _frontier_cell(own: Standing | None) -> str:
    """The sizes alone, those of several domains one after the other."""
    sizes = [frontier.size for frontier in own.frontiers.values()] if own else []
    return " / ".join(NOTHING if size is None else str(size) for size in sizes) or NOTHING


def as_json(found: Summary) -> dict[str, Any]:
    """What `iterdeploy status --json` prints. Of a generation, `frontier`, `frontiers` and `paired` are those of the
    loop's own temperature."""
    generations = [_generation(generation, found.against) for generation in found.generations]
    return {"run": found.name, **_state(found.state), "generations": generations}


def _generation(generation: Measured, against: int) -> dict[str, Any]:
    plain = written(generation.metrics)
    own: dict[str, Any] = _standing(generation.own, against) if generation.own else {}
    return {
        "generation": generation.metrics.generation,
        "held_out": _shown(plain["held_out"]),
        "deployed": _shown(plain["deployed"]),
        "frontier": own.get("frontier"),
        "frontiers": own.get("frontiers", {}),
        "paired": own.get("paired"),
        "temperatures": [_standing(standing, against) for standing in generation.standings],
        "pool": generation.pool,
        "verdicts": plain["verdicts"],
        "diversity": plain["diversity"] or None,
        "drift": plain["drift"],
        "seconds": {activity: round(spent, 3) for activity, spent in generation.seconds.items()},
    }


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
