"""What each generation learned from and what it cost: pools, losses, seconds, tokens."""

from collections.abc import Mapping, Sequence

from iterdeploy.record.outputs import TrainingReport
from iterdeploy.report.drawing import figure, tables
from iterdeploy.report.drawing.figure import Figure
from iterdeploy.report.drawing.painting import Bar, Colour, Curve, Height, Look, Part, shade
from iterdeploy.report.drawing.tables import NOTHING, traces_where
from iterdeploy.report.facts.contents import Contents
from iterdeploy.tables import Cell, Link, Table
from iterdeploy.types import TrainingPool

ACTIVITIES = {
    "sampling": ("sampling", Colour("sky")),
    "validation": ("validation", Colour("orange")),
    "training": ("training of the next", Colour("green")),
    "other": ("all else", Colour("muted", 0.6)),
}
MOST_LINES = 6
"""More lines than this in one figure cannot be told apart."""
UNTRAINED = TrainingReport()
SMOOTHED = 0.1
"""Share of the steps over which the training loss is averaged."""


def pools(found: Mapping[int, TrainingPool], last: int) -> Figure | None:
    """The traces that train each generation, by origin; None where there is no pool with a trace in it."""
    origins = sorted({int(origin) for pool in found.values() for origin in pool.by_generation})
    if not origins:
        return None
    bars, rows = [], []
    for generation, pool in found.items():
        counts = {origin: pool.by_generation.get(str(origin), 0) for origin in origins}
        targets = {origin: traces_where(generation=origin, pool=generation) for origin in origins}
        parts = [Part(f"by gen {o}", counts[o], shade(o, max(1, last)), targets[o]) for o in origins]
        bars.append(Bar(f"gen {generation}", parts))
        cells: list[Cell] = [
            Link(tables.number(counts[o]), targets[o]) if counts[o] else tables.number(0) for o in origins
        ]
        whole = Link(tables.number(len(pool.weights)), traces_where(pool=generation))
        rows.append([f"generation {generation}", *cells, whole])
    head = ["pool that trains", *(f"from generation {origin}" for origin in origins), "traces"]
    return figure.bars(
        "pools",
        "What each generation is trained on",
        "The traces that curation keeps for training a generation, by the generation that wrote them.",
        "Stacked bars: the traces that train each generation, by generation of origin.",
        bars,
        "{:,.0f}".format,
        Table("", head, rows),
    )


def losses(trainings: Mapping[int, TrainingReport]) -> Figure | None:
    """Training loss step by step; None where no training left a log."""
    logs = {generation: [step.loss for step in training.log] for generation, training in trainings.items()}
    logs = {generation: log for generation, log in logs.items() if log}
    if not logs:
        return None
    last = max(logs)
    drawn = evenly(sorted(logs), MOST_LINES)
    lines = [
        Curve(
            f"gen {generation}",
            list(range(1, len(logs[generation]) + 1)),
            smoothed(logs[generation]),
            Look(shade(generation, last), "", (), 2.4 if generation == last else 1.4),
        )
        for generation in drawn
    ]
    rows = [
        [
            f"generation {generation}",
            tables.number(training.examples),
            tables.number(training.steps),
            tables.loss(training.first_loss),
            tables.loss(training.last_loss),
            tables.loss((training.validation_loss or [None])[0]),
            tables.loss((training.validation_loss or [None])[-1]),
        ]
        for generation, training in trainings.items()
    ]
    head = ["", "examples", "steps", "first loss", "last loss", "validation before", "validation after"]
    return figure.curves(
        "training-loss",
        "Training loss",
        f"Loss per token, in nats, averaged over {SMOOTHED:.0%} of the steps. The table has the validation loss, on "
        "examples kept out of training.",
        "Line chart of the training loss by optimiser step, one line per generation.",
        lines,
        Height("{:.3f}".format),
        Table("", head, rows),
        "optimiser step",
    )


def smoothed(log: Sequence[float]) -> list[float]:
    """Each value's mean with those before it, over a tenth of the log.

    >>> smoothed([4.0, 2.0])
    [4.0, 2.0]
    """
    window = max(1, round(SMOOTHED * len(log)))
    return [sum(part) / len(part) for end in range(1, len(log) + 1) if (part := log[max(0, end - window) : end])]


def evenly(items: Sequence[int], most: int) -> list[int]:
    """The first, the last and some between, evenly spaced; all of them if they are at most `most`.

    >>> evenly(range(21), 6)
    [0, 4, 8, 12, 16, 20]
    """
    if len(items) <= most:
        return list(items)
    return [items[round(place * (len(items) - 1) / (most - 1))] for place in range(most)]


def costs(contents: Contents) -> Figure | None:
    """Seconds by what they were spent on, and tokens; None where no time was kept."""
    bars, rows = [], []
    for one in contents.metrics:
        generation = one.generation
        spent = contents.seconds.get(generation, {})
        parts = [Part(title, spent.get(name, 0.0), colour) for name, (title, colour) in ACTIVITIES.items()]
        bars.append(Bar(f"gen {generation}", parts))
        written = [answers for answers in contents.counts.answers if answers.generation == generation]
        trained = contents.trainings.get(generation + 1, UNTRAINED).tokens
        rows.append(
            [
                str(generation),
                *(f"{part.value:,.1f}" for part in parts),
                tables.number(sum(answers.answers for answers in written)),
                tables.number(sum(answers.tokens for answers in written)),
                NOTHING if trained is None else tables.number(trained),
            ]
        )
    if not any(part.value for bar in bars for part in bar.parts):
        return None
    head = ["generation", *(f"{title}, s" for title, _ in ACTIVITIES.values())]
    return figure.bars(
        "cost",
        "Time and tokens spent",
        "Seconds that each generation took. The table also has the answers, the tokens sampled and those trained on.",
        "Stacked bars: seconds by activity, one bar per generation.",
        bars,
        lambda seconds: tables.clock(seconds).removesuffix(" 00 s"),
        Table("", [*head, "answers", "tokens sampled", "tokens trained on"], rows),
    )
