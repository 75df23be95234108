"""Whether the answers collapse. The measures are those of `types.Diversity` and `types.Drift`; old runs have none."""

from collections.abc import Callable, Sequence

from iterdeploy.metrics.records import Diversity, Metrics, Nats, Point
from iterdeploy.report.drawing import tables
from iterdeploy.report.drawing.figure import Figure
from iterdeploy.report.drawing.tables import NOTHING, SPLITS
from iterdeploy.report.drawing.trend import HUNDREDTHS, SHARE, TENTHS, THOUSANDTHS, Series, trend


def figures(metrics: Sequence[Metrics]) -> list[Figure]:
    made = [
        trend(
            "entropy", "Entropy per token",
            "How undecided the model is while it writes, in nats: the mean of -log p of what was sampled. Near 0 it "
            "always writes the same. Bands are 95% intervals.",
            THOUSANDTHS, {f"{words} tasks": _entropy(metrics, split) for split, words in SPLITS.items()},
        ),
        trend(
            "distinct-answers", "Distinct valid answers per task",
            "Among the samples of one task, over the tasks that this generation solved. More samples find more, "
            "so compare only like with like. Splits with one sample a task are left out.",
            HUNDREDTHS, {f"{words} tasks": _distinct(metrics, split) for split, words in SPLITS.items()},
        ),
        trend(
            "copies", "Copies of the training pool",
            "The share of answers to deployed tasks whose tokens are those of a trace that trained this generation, "
            "and the share of its valid answers that say the same as one.",
            SHARE, {
                "answers, token by token": _plain(metrics, "deployed", lambda found: found.identical_to_pool),
                "valid answers": _plain(metrics, "deployed", lambda found: found.valid_plans_from_pool),
            },
        ),
        trend(
            "drift", "Distance from the base model",
            "Kullback-Leibler divergence KL(generation 0 || this one) per token, in nats, over answers that generation "
            "0 gave. Bands are 95% intervals.",
            THOUSANDTHS, {"divergence": _drift(metrics)},
        ),
        trend(
            "reasoning-tokens", "Reasoning tokens",
            "Mean tokens of reasoning before the answer, over all answers, valid or not.",
            TENTHS, {f"{words} tasks": _reasoning(metrics, split) for split, words in SPLITS.items()},
        ),
        trend(
            "lost", "Solved before and lost",
            "Of the tasks that some earlier generation solved, the share that no sample of this one solves. Not all of "
            "it is forgetting: a task solved once by luck is mostly not solved again.",
            SHARE, {f"{words} tasks": _plain(metrics, split, lambda one: one.lost) for split, words in SPLITS.items()},
        ),
    ]  # fmt: skip
    return [one for one in made if one is not None]


def numbers(metrics: Sequence[Metrics]) -> dict[str, list[list[str]]]:
    """All measures of diversity and drift, one row each, one column per generation; none where nothing was measured."""
    groups = {}
    for split, words in SPLITS.items():
        rows = [
            [title, *(tables.share(v) if as_share else tables.ratio(v) for v in _values(metrics, split, read))]
            for read, title, as_share in _ROWS
        ]
        groups[f"Diversity of answers to {words} tasks"] = [row for row in rows if set(row[1:]) != {NOTHING}]
    gaps = [one.drift and one.drift.logprob_gap for one in metrics]
    if any(gap is not None for gap in gaps):
        written = [NOTHING if gap is None else f"{gap:.2g}" for gap in gaps]
        groups["Precision of log-probabilities"] = [["recorded log p against asked again, nats", *written]]
    return groups


Read = Callable[[Diversity], float | None]

_ROWS: Sequence[tuple[Read, str, bool]] = [
    (lambda found: found.distinct_plans, "distinct valid answers per solved task", False),
    (lambda found: found.distinct_plans_so_far, "the same, all generations so far", False),
    (lambda found: found.distinct_per_valid, "distinct answers per valid sample", False),
    (lambda found: found.identical_to_pool, "answers identical to a pool trace", True),
    (lambda found: found.valid_plans_from_pool, "valid answers that the pool has", True),
    (lambda found: found.ever_solved, "tasks solved by some generation so far", True),
    (lambda found: found.lost, "solved before and lost", True),
    (lambda found: found.coverage_of_solved_before, "coverage of those solved before", True),
]
"""What is read, its name, and whether it is a share."""


def _of(metrics: Sequence[Metrics], split: str) -> dict[int, Diversity]:
    """Generation -> diversity, of those of which it was measured."""
    return {one.generation: found for one in metrics if (found := one.diversity.get(split)) is not None}


def _values(metrics: Sequence[Metrics], split: str, read: Read) -> list[float | None]:
    found = _of(metrics, split)
    return [read(found[one.generation]) if one.generation in found else None for one in metrics]


def _plain(metrics: Sequence[Metrics], split: str, read: Read) -> Series:
    values = {generation: read(found) for generation, found in _of(metrics, split).items()}
    return {generation: Point(value) for generation, value in values.items() if value is not None}


def _reasoning(metrics: Sequence[Metrics], split: str) -> Series:
    """Nothing where no answer has any."""
    values = {one.generation: found.reasoning_tokens or 0.0 for one in metrics if (found := one.coverage(split))}
    return {generation: Point(value) for generation, value in values.items()} if any(values.values()) else {}


def _entropy(metrics: Sequence[Metrics], split: str) -> Series:
    found = _of(metrics, split).items()
    return {generation: _per_token(one.entropy) for generation, one in found if one.entropy is not None}


def _distinct(metrics: Sequence[Metrics], split: str) -> Series:
    several = [one for one in metrics if (found := one.diversity.get(split)) is None or found.samples_per_task > 1]
    return _plain(several, split, lambda found: found.distinct_plans)


def _drift(metrics: Sequence[Metrics]) -> Series:
    found = {one.generation: one.drift.kl for one in metrics if one.drift is not None}
    return {generation: _per_token(kl) for generation, kl in found.items() if kl is not None}


def _per_token(nats: Nats) -> Point:
    return Point.of_error(nats.per_token.value, nats.per_token.error)
