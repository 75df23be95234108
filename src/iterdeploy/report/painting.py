"""How each figure is painted on Matplotlib's axes.

Generation 0 is grey in every figure, later ones are ever stronger blue. Nothing is told by colour alone: markers,
dashes and numbers in the bars say it too.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from iterdeploy.report import tables
from iterdeploy.report.svg import PALETTE, Canvas
from iterdeploy.report.tables import Metrics

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True, slots=True)
class Colour:
    name: str
    alpha: float = 1.0


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch of a bar."""

    title: str
    value: float
    colour: Colour


@dataclass(frozen=True, slots=True)
class Bar:
    title: str
    parts: Sequence[Part]


@dataclass(frozen=True, slots=True)
class _End:
    """What stands at the right end of a line."""

    x: float
    y: float
    text: str
    colour: str


def shade(generation: int, last: int) -> Colour:
    """The last generation is solid, so that it stands out from the others however many they are."""
    if generation == 0:
        return Colour("muted", 0.65)
    return Colour("blue", 1.0 if generation == last else 0.2 + 0.4 * generation / last)


def coverage(metrics: Sequence[Metrics], axes: "Axes", canvas: Canvas) -> None:
    looks: dict[str, tuple[str, str, Any, float]] = {
        "deployed": ("vermillion", "s", (0, (4, 2)), 1.8),
        "held_out": ("blue", "o", "-", 2.6),
    }
    ends: list[_End] = []
    highest = 0.0
    for split, (colour, marker, dashes, width) in looks.items():
        shown = [one for one in metrics if one[split]]
        if not shown:
            continue
        # A generation alone has no line; the two splits then stand side by side, each with a bar for its interval.
        aside = 0.0 if len(metrics) > 1 else 0.15 if split == "held_out" else -0.15
        x = [one["generation"] + aside for one in shown]
        y = [one[split]["coverage"] for one in shown]
        low = [one[split]["interval"][0] for one in shown]
        high = [one[split]["interval"][1] for one in shown]
        highest = max(highest, *high)
        axes.fill_between(x, low, high, color=PALETTE[colour], alpha=0.14, linewidth=0)
        if len(metrics) == 1:
            axes.vlines(x, low, high, color=PALETTE[colour], linewidth=6, alpha=0.3)
        axes.plot(
            x, y, color=PALETTE[colour], marker=marker, linestyle=dashes, linewidth=width, markersize=6,
            label=f"{tables.SPLITS[split]} tasks",
        )  # fmt: skip
        ends.append(_End(x[-1], y[-1], f"{y[-1]:.1%}", colour))
    top = min(1.0, highest + 0.06)
    if len(metrics) > 1:
        ends = _spread(ends, 16 * top / (canvas.height - canvas.top - canvas.bottom))
    for end in ends:
        axes.annotate(
            end.text, (end.x, end.y), (10, 0), textcoords="offset points", va="center",
            color=PALETTE[end.colour], weight="bold",
        )  # fmt: skip
    axes.set_ylim(0, top)
    axes.set_xlim(-0.06 * len(metrics), len(metrics) - 1 + 0.02 * len(metrics))
    if len(metrics) == 1:
        axes.set_xlim(-0.5, 0.5)
    axes.set_xticks(range(0, len(metrics), _every(len(metrics), canvas)))
    axes.set_xlabel("generation")
    _finish(axes, canvas, reverse=True)


def _spread(ends: list[_End], apart: float) -> list[_End]:
    """The same two ends, moved apart where their texts would lie on each other."""
    if len(ends) < 2 or abs(ends[0].y - ends[1].y) >= apart:
        return ends
    lower, upper = sorted(ends, key=lambda end: end.y)
    middle = (lower.y + upper.y) / 2
    return [replace(lower, y=middle - apart / 2), replace(upper, y=middle + apart / 2)]


def by_size(
    metrics: Sequence[Metrics], sizes: Sequence[int], unseen: Sequence[int], axes: "Axes", canvas: Canvas
) -> None:
    last = metrics[-1]["generation"]
    for size in unseen:
        place = sizes.index(size)
        axes.axvspan(place - 0.5, place + 0.51, color=PALETTE["sunken"], linewidth=0, zorder=0)
    for one in metrics:
        generation = one["generation"]
        values = [cell["coverage"] for cell in one["held_out"]["by_size"].values()]
        colour, strong = shade(generation, last), generation in (0, last)
        axes.plot(
            range(len(sizes)), values, color=PALETTE[colour.name], alpha=colour.alpha,
            linewidth=2.6 if strong else 1.6, linestyle=(0, (2, 1.5)) if generation == 0 else "-",
            marker="D" if generation == 0 else "o", markersize=6 if strong else 4, label=f"gen {generation}",
            zorder=4 if strong else 3,
        )  # fmt: skip
    if unseen:
        right = len(sizes) - 0.5
        axes.text(right, 1.02, "not in pretraining ", color=PALETTE["muted"], va="top", ha="right", size="small")
    every = _every(len(sizes), canvas)
    axes.set_xticks(range(0, len(sizes), every), [str(size) for size in sizes[::every]])
    axes.set_xlim(-0.5, len(sizes) - 0.5)
    axes.set_ylim(0, 1.04)
    axes.set_xlabel("task size")
    _finish(axes, canvas)


def plan_lengths(metrics: Sequence[Metrics], axes: "Axes", canvas: Canvas) -> None:
    """A histogram per generation, one above the other on one scale; only called if some plan is valid."""
    rows = [{int(length): count for length, count in one["held_out"]["plan_lengths"].items()} for one in metrics]
    tallest = max(count for row in rows for count in row.values())
    longest = max(length for row in rows for length in row)
    for place, row in enumerate(rows):
        colour = shade(place, len(rows) - 1)
        heights = [0.74 * count / tallest for count in row.values()]
        axes.axhline(-place, color=PALETTE["grid"], linewidth=1)
        axes.bar(
            list(row), heights, bottom=-place, width=0.84, color=PALETTE[colour.name], alpha=max(colour.alpha, 0.45)
        )
        note = f"{sum(row.values()):,} plans"
        if row:
            axes.plot([max(row)], [heights[-1] - place + 0.13], "v", color=PALETTE["vermillion"], markersize=6)
            note += f"\nlongest {max(row)}"
        axes.annotate(
            note, (1, 0.3 - place), (10, 0), xycoords=("axes fraction", "data"), textcoords="offset points",
            va="center", size="small", linespacing=1.35,
        )  # fmt: skip
    axes.set_yticks([0.3 - place for place in range(len(rows))], [f"gen {one['generation']}" for one in metrics])
    axes.tick_params(axis="y", labelcolor=PALETTE["ink"])
    axes.set_ylim(0.92 - len(rows), 1)
    axes.set_xlim(-0.6, longest + 1)  # a plan may have no steps
    axes.set_xlabel("steps of the plan")
    axes.locator_params(axis="x", integer=True)


def bars(rows: Sequence[Bar], form: Callable[[float], str], axes: "Axes", canvas: Canvas) -> None:
    """One horizontal bar per row, its parts end to end, with `form`(value) in every part that has the room."""
    longest = max(sum(part.value for part in row.parts) for row in rows)
    for place, row in enumerate(rows):
        start = 0.0
        for part in row.parts:
            colour = PALETTE[part.colour.name]
            axes.barh(
                -place, part.value, 0.68, start, color=colour, alpha=part.colour.alpha, edgecolor=PALETTE["paper"],
                linewidth=1, label=part.title if place == 0 else None,
            )  # fmt: skip
            text = form(part.value)
            if part.value / longest * canvas.across > 8 * len(text) + 6:
                ink = PALETTE["ink" if part.colour.alpha < 1 else "on-colour"]
                axes.text(start + part.value / 2, -place, text, ha="center", va="center", color=ink, size="small")
            start += part.value
    axes.set_yticks([-place for place in range(len(rows))], [row.title for row in rows])
    axes.tick_params(axis="y", labelcolor=PALETTE["ink"])
    axes.set_ylim(0.5 - len(rows), 0.5)
    axes.set_xlim(0, longest)
    axes.xaxis.set_major_formatter(lambda value, _: form(value))
    axes.spines["bottom"].set_visible(False)
    _legend(axes, canvas)


def _every(count: int, canvas: Canvas) -> int:
    """Of so many ticks, one in how many has room for its label."""
    return math.ceil(count / (8 if canvas.narrow else 16))


def _finish(axes: "Axes", canvas: Canvas, *, reverse: bool = False) -> None:
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    axes.grid(axis="y")
    _legend(axes, canvas, reverse=reverse)


def _legend(axes: "Axes", canvas: Canvas, *, reverse: bool = False) -> None:
    """Above the axes, in the room that the canvas keeps for it."""
    axes.legend(
        loc="lower left", bbox_to_anchor=(0, 1 + 10 / (canvas.height - canvas.top - canvas.bottom)),
        ncols=canvas.legend_columns, reverse=reverse,
    )  # fmt: skip
