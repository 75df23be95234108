"""The large table: everything that was measured of every generation."""

from collections.abc import Callable, Mapping, Sequence

from iterdeploy.metrics.records import Coverage, Metrics
from iterdeploy.record.outputs import TrainingReport
from iterdeploy.report.drawing import tables
from iterdeploy.report.drawing.tables import NOTHING
from iterdeploy.report.figures import diversity as diversity_figures
from iterdeploy.tables import Table, grouped
from iterdeploy.types import JUDGED, TrainingPool

ACTIVITIES = {
    "sampling": "sampling",
    "validation": "validation",
    "training": "training of the next generation",
    "other": "all else",
}


def everything(
    metrics: Sequence[Metrics],
    pools: Mapping[int, TrainingPool],
    trainings: Mapping[int, TrainingReport],
    seconds: Mapping[int, Mapping[str, float]],
) -> Table:
    """One column per generation."""
    numbers = [one.generation for one in metrics]
    counts = [[status.value, *(tables.number(one.verdicts[status]) for one in metrics)] for status in JUDGED]
    trained = [
        ["traces in the pool", *(tables.number(len(pools[g].weights)) if g in pools else NOTHING for g in numbers)],
        *([name, *(_loss(cell, trainings.get(g)) for g in numbers)] for name, cell in _LOSS_ROWS),
    ]
    spent = [
        [title, *(f"{seconds.get(g, {}).get(activity, 0.0):,.1f}" for g in numbers)]
        for activity, title in ACTIVITIES.items()
    ]
    groups = {
        "Held-out tasks": _split_rows(metrics, "held_out"),
        "Deployed tasks": _split_rows(metrics, "deployed"),
        "Verdicts on all answers": counts,
        **diversity_figures.numbers(metrics),
        "Trained on": trained,
        "Seconds": spent,
    }
    return grouped(["generation", *(f"{g}" for g in numbers)], groups)


def _split_rows(metrics: Sequence[Metrics], split: str) -> list[list[str]]:
    """Without the rows of which nothing is known, such as plan costs where there are no reference plans."""
    rows = [
        [name, *(NOTHING if found is None else cell(found) for found in (one.coverage(split) for one in metrics))]
        for name, cell in _SPLIT_ROWS
    ]
    return [row for row in rows if set(row[1:]) != {NOTHING}]


def _strict(split: Coverage) -> float | None:
    """None where nothing is said of the form of an answer."""
    return None if split.strict_share is None else split.strict_coverage


def _loss(cell: Callable[[TrainingReport], float | None], training: TrainingReport | None) -> str:
    """There is no training for the base model, and no validation loss where the pool was too small for any."""
    return NOTHING if training is None else tables.loss(cell(training))


_LOSS_ROWS: list[tuple[str, Callable[[TrainingReport], float | None]]] = [
    ("training loss, first step", lambda training: training.first_loss),
    ("training loss, last step", lambda training: training.last_loss),
    ("validation loss before", lambda training: (training.validation_loss or [None])[0]),
    ("validation loss after", lambda training: (training.validation_loss or [None])[-1]),
]
_SPLIT_ROWS: list[tuple[str, Callable[[Coverage], str]]] = [
    ("coverage", lambda split: tables.share(split.coverage)),
    ("95% interval", lambda split: tables.interval(split.interval)),
    ("tasks", lambda split: tables.number(split.tasks)),
    ("samples of each task (k)", lambda split: tables.number(split.samples_per_task)),
    ("solved by some of k (pass@k)", lambda split: tables.share(split.pass_at_k)),
    ("solved by all k (unanimous@k)", lambda split: tables.share(split.unanimous_at_k)),
    ("mean valid plan, steps", lambda split: tables.mean(split.mean_plan)),
    ("longest valid plan, steps", lambda split: tables.number(split.longest_plan)),
    ("reasoning tokens, mean", lambda split: tables.mean(split.reasoning_tokens)),
    ("plans exactly in the form asked", lambda split: tables.share(split.strict_share)),
    ("coverage if only those counted", lambda split: tables.share(_strict(split))),
    ("cost, times the reference plan's", lambda split: tables.ratio(split.cost_ratio)),
]
