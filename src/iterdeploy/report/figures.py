"""The figures of a run: what each shows, in words, as a drawing, and as the table of its numbers.

Each is drawn wide and narrow, so that its text stays readable on a telephone.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from iterdeploy.report import painting, tables
from iterdeploy.report.painting import Bar, Colour, Part, shade
from iterdeploy.report.svg import PALETTE, Canvas, Paint, alone, draw, inline
from iterdeploy.report.tables import SPLITS, Metrics, Table
from iterdeploy.report.verdict import outcome, told
from iterdeploy.types import Status

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Item = TypeVar("Item")

WIDE, NARROW = 760, 360
"""Pixels; style.css chooses between them."""

MOST_LINES = 6
"""More lines than this in one figure cannot be told apart."""

VERDICT_COLOURS = {
    Status.VALID: Colour("green"),
    Status.INVALID: Colour("orange"),
    Status.UNPARSEABLE: Colour("pink"),
    Status.TRUNCATED: Colour("sky"),
    Status.ERROR: Colour("vermillion"),
}


@dataclass(frozen=True, slots=True)
class Figure:
    name: str
    title: str
    caption: str
    wide: str
    """The drawing as an element of a page."""
    narrow: str
    table: Table


def figures(metrics: Sequence[Metrics], pools: Mapping[int, Metrics], seen_sizes: Sequence[int] | None) -> list[Figure]:
    """Those that these numbers allow; the one that answers whether the loop worked comes first."""
    if not metrics:
        return []
    found = [coverage(metrics)]
    if all(one["held_out"] for one in metrics):
        found.append(by_size(metrics, seen_sizes))
        if any(one["held_out"]["plan_lengths"] for one in metrics):
            found.append(plan_lengths(metrics))
    found.append(verdicts(metrics))
    if any(pool["weights"] for pool in pools.values()):
        found.append(pool_origins(pools, len(metrics) - 1))
    return found


def coverage_figure_svg(metrics: Sequence[Metrics]) -> str:
    """The coverage figure as an SVG file of its own, on white; for documents that cannot hold a page."""

    def paint(axes: "Axes", canvas: Canvas) -> None:
        painting.coverage(metrics, axes, canvas)
        axes.set_ylabel("coverage")  # which no caption says here

    canvas = replace(_coverage_canvas(metrics, WIDE), left=70)
    return alone(draw("coverage-alone", canvas, paint, background=PALETTE["paper"]), outcome(metrics).sentence)


def coverage(metrics: Sequence[Metrics]) -> Figure:
    spoken = [f"{title} {told(metrics[-1][split])}" for split, title in SPLITS.items() if metrics[-1][split]]
    return _figure(
        "coverage",
        "Coverage by generation",
        "The share of tasks that one answer is expected to solve; the bands are 95% intervals. Held-out tasks only "
        "measure; answers to deployed tasks train later generations if curation keeps them.",
        f"Line chart of coverage by generation. Generation {metrics[-1]['generation']}: {', '.join(spoken)}.",
        partial(_coverage_canvas, metrics),
        partial(painting.coverage, metrics),
        tables.coverage(metrics),
    )


def _coverage_canvas(metrics: Sequence[Metrics], width: int) -> Canvas:
    splits = sum(metrics[0][split] is not None for split in SPLITS)
    return Canvas(width, 310 if width == WIDE else 260, left=48, right=58).with_legend_of(splits)


def by_size(metrics: Sequence[Metrics], seen_sizes: Sequence[int] | None) -> Figure:
    cells = metrics[0]["held_out"]["by_size"]
    sizes = [int(size) for size in cells]
    unseen = [size for size in sizes if size not in seen_sizes] if seen_sizes else []
    counts = sorted({cell["tasks"] for cell in cells.values()})
    tasks = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    caption = f"Held-out coverage by task size, with {tasks} tasks of each size: single points are uncertain."
    lines = evenly(metrics, MOST_LINES)
    if len(lines) < len(metrics):
        caption += f" Of the {len(metrics)} generations {len(lines)} are drawn; the table has all."
    if unseen:
        caption += " The base model's pretraining held no task of the shaded sizes."
    return _figure(
        "by-size",
        "Coverage by task size",
        caption,
        f"Line chart of held-out coverage by task size, one line per generation, sizes {sizes[0]} to {sizes[-1]}.",
        lambda width: Canvas(width, 300, left=48).with_legend_of(len(lines)),
        partial(painting.by_size, lines, sizes, unseen),
        tables.by_size(metrics),
    )


def evenly(items: Sequence[Item], most: int) -> list[Item]:
    """The first, the last and some between, evenly spaced; all of them if they are at most `most`.

    >>> evenly(range(21), 6)
    [0, 4, 8, 12, 16, 20]
    """
    if len(items) <= most:
        return list(items)
    return [items[round(place * (len(items) - 1) / (most - 1))] for place in range(most)]


def plan_lengths(metrics: Sequence[Metrics]) -> Figure:
    longest = [f"{one['held_out']['longest_plan'] or 0} steps in generation {one['generation']}" for one in metrics]
    return _figure(
        "plan-lengths",
        "Lengths of valid plans",
        "On held-out tasks: a bar's height is the number of plans of that length, on one scale for all rows. The "
        "triangle marks the longest.",
        f"Histograms of plan lengths, one per generation; longest plan: {', '.join(longest)}.",
        lambda width: Canvas(width, 64 + 56 * len(metrics), left=56, right=92, top=8),
        partial(painting.plan_lengths, metrics),
        tables.plan_lengths(metrics),
    )


def verdicts(metrics: Sequence[Metrics]) -> Figure:
    occurring = [status for status in Status if any(one["verdicts"][status] for one in metrics)]
    rows = []
    for one in metrics:
        total = sum(one["verdicts"].values())
        parts = [Part(status, one["verdicts"][status] / total, VERDICT_COLOURS[status]) for status in occurring]
        rows.append(Bar(f"gen {one['generation']}", parts))
    return _figure(
        "verdicts",
        "Verdicts",
        "What the validator said of all answers, to held-out and deployed tasks together.",
        "Stacked bars: the shares of the verdicts, one bar per generation.",
        lambda width: _bars_canvas(width, rows),
        partial(painting.bars, rows, "{:.0%}".format),
        tables.verdicts(metrics),
    )


def pool_origins(pools: Mapping[int, Metrics], last: int) -> Figure:
    origins = sorted({int(origin) for pool in pools.values() for origin in pool["by_generation"]})
    rows = [
        Bar(
            f"gen {generation}",
            [
                Part(f"by gen {origin}", pool["by_generation"].get(str(origin), 0), shade(origin, max(1, last)))
                for origin in origins
            ],
        )
        for generation, pool in pools.items()
    ]
    return _figure(
        "pools",
        "What each generation is trained on",
        "The number of traces that curation keeps for training a generation, by the generation that wrote them.",
        "Stacked bars: the traces that train each generation, by generation of origin.",
        lambda width: _bars_canvas(width, rows),
        partial(painting.bars, rows, "{:,.0f}".format),
        tables.pools(pools),
    )


def _bars_canvas(width: int, rows: Sequence[Bar]) -> Canvas:
    return Canvas(width, 44 + 38 * len(rows), left=56, right=22, bottom=30).with_legend_of(len(rows[0].parts))


def _figure(
    name: str,
    title: str,
    caption: str,
    label: str,
    canvas_of: Callable[[int], Canvas],
    paint: Paint,
    table: Table,
) -> Figure:
    """`label` is read aloud in place of the drawing; `canvas_of` gives the canvas of a width."""

    def drawing(width: int) -> str:
        return inline(draw(name, canvas_of(width), paint), label)

    return Figure(name, title, caption, drawing(WIDE), drawing(NARROW), table)
