"""The numbers of a run as text, in tables: one beside each figure, and the large one with everything."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from iterdeploy.types import Status

Metrics = Mapping[str, Any]
"""The content of one generation's metrics.json."""

NOTHING = "\N{EN DASH}"
ACTIVITIES = {
    "sampling": "sampling",
    "validation": "validation",
    "training": "training of the next generation",
    "other": "all else",
}
SPLITS = {"held_out": "held-out", "deployed": "deployed"}


@dataclass(frozen=True, slots=True)
class Group:
    """Rows that belong together; a row's first cell is its heading."""

    rows: Sequence[Sequence[str]]
    title: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    head: Sequence[str]
    groups: Sequence[Group]


def coverage(metrics: Sequence[Metrics]) -> Table:
    head = ["generation"]
    for split in SPLITS.values():
        head += [f"{split} coverage", "95% interval", "tasks"]
    rows = [
        [_number(one["generation"]), *(cell for split in SPLITS for cell in _coverage_cells(one[split]))]
        for one in metrics
    ]
    return Table(head, [Group(rows)])


def _coverage_cells(split: Metrics | None) -> list[str]:
    if split is None:
        return [NOTHING] * 3
    return [_share(split["coverage"]), _interval(split["interval"]), _number(split["tasks"])]


def by_size(metrics: Sequence[Metrics]) -> Table:
    """Held-out coverage; only for runs with held-out tasks."""
    sizes = metrics[0]["held_out"]["by_size"]
    tasks = Group([["tasks", *(_number(sizes[size]["tasks"]) for size in sizes)]])
    rows = [
        [_number(one["generation"]), *(_share(cell["coverage"]) for cell in one["held_out"]["by_size"].values())]
        for one in metrics
    ]
    return Table(["generation", *(f"size {size}" for size in sizes)], [Group(rows), tasks])


def plan_lengths(metrics: Sequence[Metrics]) -> Table:
    lengths = sorted({int(length) for one in metrics for length in one["held_out"]["plan_lengths"]})
    rows = [
        [str(length), *(_number(one["held_out"]["plan_lengths"].get(str(length), 0)) for one in metrics)]
        for length in lengths
    ]
    return Table(["steps", *(f"generation {one['generation']}" for one in metrics)], [Group(rows)])


def verdicts(metrics: Sequence[Metrics]) -> Table:
    rows = [
        [_number(one["generation"]), *(_counted(one["verdicts"][status], one["verdicts"]) for status in Status)]
        for one in metrics
    ]
    return Table(["generation", *Status], [Group(rows)])


def pools(found: Mapping[int, Metrics]) -> Table:
    origins = sorted({int(origin) for pool in found.values() for origin in pool["by_generation"]})
    rows = [
        [
            f"generation {generation}",
            *(_number(pool["by_generation"].get(str(origin), 0)) for origin in origins),
            _number(len(pool["weights"])),
        ]
        for generation, pool in found.items()
    ]
    return Table(["pool that trains", *(f"from generation {origin}" for origin in origins), "traces"], [Group(rows)])


def everything(
    metrics: Sequence[Metrics],
    pools: Mapping[int, Metrics],
    trainings: Mapping[int, Metrics],
    seconds: Mapping[int, Mapping[str, float]],
) -> Table:
    """One column per generation, all that was measured of it."""
    numbers = [one["generation"] for one in metrics]
    groups = [
        Group(_split_rows(metrics, split), title)
        for split, title in (("held_out", "Held-out tasks"), ("deployed", "Deployed tasks"))
    ]
    counts = [[status.value, *(_number(one["verdicts"][status]) for one in metrics)] for status in Status]
    trained = [
        ["traces in the pool", *(_number(len(pools[g]["weights"])) if g in pools else NOTHING for g in numbers)],
        *([name, *(_loss(cell, trainings.get(g)) for g in numbers)] for name, cell in _LOSS_ROWS),
    ]
    spent = [
        [title, *(f"{seconds.get(g, {}).get(activity, 0.0):,.1f}" for g in numbers)]
        for activity, title in ACTIVITIES.items()
    ]
    groups = [group for group in groups if group.rows]
    groups += [Group(counts, "Verdicts on all answers"), Group(trained, "Trained on"), Group(spent, "Seconds")]
    return Table(["generation", *(f"{g}" for g in numbers)], groups)


def _split_rows(metrics: Sequence[Metrics], split: str) -> list[list[str]]:
    """Without the rows of which nothing is known, such as plan costs where there are no reference plans."""
    rows = [
        [name, *(NOTHING if one[split] is None else cell(one[split]) for one in metrics)] for name, cell in _SPLIT_ROWS
    ]
    return [row for row in rows if set(row[1:]) != {NOTHING}]


def _share(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.1%}"


def _number(value: int | None) -> str:
    return NOTHING if value is None else f"{value:,}"


def _ratio(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.2f}"


def _mean(value: float | None) -> str:
    return NOTHING if value is None else f"{value:,.1f}"


def _interval(value: Sequence[float]) -> str:
    return f"{100 * value[0]:.1f} to {value[1]:.1%}"


def _counted(count: int, verdicts: Mapping[str, int]) -> str:
    return f"{count:,} ({count / max(1, sum(verdicts.values())):.1%})"


def _loss(cell: Callable[[Metrics], float | None], training: Metrics | None) -> str:
    """There is no training for the base model, and no validation loss where the pool was too small for any."""
    value = None if training is None else cell(training)
    return NOTHING if value is None else f"{value:.4f}"


_LOSS_ROWS: list[tuple[str, Callable[[Metrics], float | None]]] = [
    ("training loss, first step", lambda training: training["first_loss"]),
    ("training loss, last step", lambda training: training["last_loss"]),
    ("validation loss before", lambda training: training["validation_loss"][0]),
    ("validation loss after", lambda training: training["validation_loss"][-1]),
]
_SPLIT_ROWS: list[tuple[str, Callable[[Metrics], str]]] = [
    ("coverage", lambda split: _share(split["coverage"])),
    ("95% interval", lambda split: _interval(split["interval"])),
    ("tasks", lambda split: _number(split["tasks"])),
    ("samples of each task (k)", lambda split: _number(split["samples_per_task"])),
    ("solved by some of k (pass@k)", lambda split: _share(split["pass_at_k"])),
    ("solved by all k (unanimous@k)", lambda split: _share(split["unanimous_at_k"])),
    ("mean valid plan, steps", lambda split: _mean(split["mean_plan"])),
    ("longest valid plan, steps", lambda split: _number(split["longest_plan"])),
    ("reasoning tokens, mean", lambda split: _mean(split["reasoning_tokens"])),
    ("plans exactly in the form asked", lambda split: _share(split["strict_share"])),
    ("coverage if only those counted", lambda split: _share(split.get("strict_coverage"))),
    ("cost, times the reference plan's", lambda split: _ratio(split.get("cost_ratio"))),
]
