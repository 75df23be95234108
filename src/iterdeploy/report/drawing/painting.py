"""How curves, heat maps, bars and histograms are painted on Matplotlib's axes.

Generation 0 is grey in every figure, later ones are ever stronger blue. Nothing is shown by colour alone: markers,
dashes and numbers say it too.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from iterdeploy.report.drawing.svg import PALETTE, Canvas

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Form = Callable[[float], str]
"""How a value is written."""


@dataclass(frozen=True, slots=True)
class Colour:
    name: str
    alpha: float = 1.0


@dataclass(frozen=True, slots=True)
class Look:
    """How a curve differs from the others."""

    colour: Colour
    marker: str = "o"
    dashes: tuple[float, ...] = ()
    width: float = 2.2


LOOKS = (
    Look(Colour("blue"), "o", (), 2.6),
    Look(Colour("vermillion"), "s", (4, 2)),
    Look(Colour("green"), "^", (1.2, 1.2)),
    Look(Colour("pink"), "D", (6, 1.5, 1.2, 1.5)),
    Look(Colour("orange"), "v"),
    Look(Colour("sky"), "P", (3, 1)),
    Look(Colour("muted"), "X", (2, 2)),
)
"""For the first, second, ... curve of a figure."""


@dataclass(frozen=True, slots=True)
class Curve:
    title: str
    x: Sequence[float]
    y: Sequence[float]
    look: Look
    low: Sequence[float] = ()
    """Lower ends of the intervals; empty where there are none."""
    high: Sequence[float] = ()


@dataclass(frozen=True, slots=True)
class Height:
    """The vertical axis."""

    form: Form
    ticks: Form = "{:,.6g}".format
    most: float = math.inf
    """No value can be larger."""


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch of a bar."""

    title: str
    value: float
    colour: Colour
    target: str = ""


@dataclass(frozen=True, slots=True)
class Bar:
    title: str
    parts: Sequence[Part]


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a heat map."""

    value: float | None
    text: str
    target: str = ""


def shade(generation: int, last: int) -> Colour:
    """The last generation is solid, so that it stands out from the others however many they are."""
    if generation == 0:
        return Colour("muted", 0.65)
    return Colour("blue", 1.0 if generation == last else 0.2 + 0.4 * generation / last)


def curves(lines: Sequence[Curve], height: Height, x_label: str, axes: "Axes", canvas: Canvas) -> None:
    """Lines over whole numbers, each with its band and its last value at its end."""
    alone = max(len(line.x) for line in lines) == 1
    highest = max([0.0, *(max([*line.y, *line.high]) for line in lines)])
    top = min(height.most * 1.0, highest * 1.06) or 1.0
    for place, line in enumerate(lines):
        colour, look = PALETTE[line.look.colour.name], line.look
        # Points alone have no line; they stand side by side, each with a bar for its interval.
        x = [value + (0.12 * (place - (len(lines) - 1) / 2) if alone else 0.0) for value in line.x]
        if line.low:
            axes.fill_between(x, line.low, line.high, color=colour, alpha=0.14, linewidth=0)
        if line.low and alone:
            axes.vlines(x, line.low, line.high, color=colour, linewidth=canvas.points(6), alpha=0.3)
        axes.plot(
            x, line.y, color=colour, alpha=look.colour.alpha, marker=look.marker, label=line.title,
            linestyle=(0, look.dashes) if look.dashes else "-", linewidth=canvas.points(look.width),
            markersize=canvas.points(6 if len(line.x) < 25 else 3),
        )  # fmt: skip
    _tell_ends(lines, height.form, 15 * top / canvas.down, axes, canvas)
    axes.set_ylim(0, top)
    _whole_numbers(axes, canvas, min(line.x[0] for line in lines), max(line.x[-1] for line in lines))
    axes.set_xlabel(x_label)
    axes.yaxis.set_major_formatter(lambda value, _: height.ticks(value))
    axes.locator_params(axis="y", nbins=7)
    axes.set_ylabel(canvas.y_label)
    axes.grid(axis="y")
    _legend(axes, canvas)


def _tell_ends(lines: Sequence[Curve], form: Form, apart: float, axes: "Axes", canvas: Canvas) -> None:
    """The last values on the right; none where the lines end at different places."""
    if len({line.x[-1] for line in lines}) > 1:
        return
    places = spread([line.y[-1] for line in lines], apart)
    for line, place in zip(lines, places, strict=True):
        axes.annotate(
            form(line.y[-1]), (line.x[-1], place), (canvas.points(10), 0), textcoords="offset points", va="center",
            color=PALETTE[line.look.colour.name], weight="bold", annotation_clip=False,
        )  # fmt: skip


def spread(values: Sequence[float], apart: float) -> list[float]:
    """The same values, moved no more than needed to be `apart`, where texts would lie on each other.

    >>> spread([0.5, 0.5], 0.2)
    [0.4, 0.6]
    """
    order = sorted(range(len(values)), key=lambda index: values[index])
    moved = [values[index] for index in order]
    for _ in range(100):
        for below in range(len(moved) - 1):
            missing = apart - (moved[below + 1] - moved[below])
            if missing > 1e-9:
                moved[below] -= missing / 2
                moved[below + 1] += missing / 2
    places = [0.0] * len(values)
    for index, value in zip(order, moved, strict=True):
        places[index] = value
    return places


def heat(
    rows: Sequence[Sequence[Field]], names: Sequence[str], columns: Sequence[str], x_label: str, most: float,
    axes: "Axes", canvas: Canvas,
) -> None:  # fmt: skip
    """Fields coloured from 0 to `most`, the first row on top, with its text in every field that has the room."""
    from matplotlib import colormaps
    from matplotlib.patches import Rectangle

    wide = canvas.across / len(columns)
    for place, row in enumerate(rows):
        for column, field in enumerate(row):
            colour, ink = PALETTE["sunken"], PALETTE["muted"]
            if field.value is not None:
                rgb = colormaps["cividis"](field.value / most if most else 0.0)[:3]
                colour = "#" + "".join(f"{round(255 * part):02x}" for part in rgb)
                ink = PALETTE["on-dark" if 0.3 * rgb[0] + 0.59 * rgb[1] + 0.11 * rgb[2] < 0.47 else "on-colour"]
            target = canvas.link(field.target) if field.target else None
            axes.add_patch(
                Rectangle((column, -place - 1), 1, 1, facecolor=colour, edgecolor=PALETTE["paper"],
                          linewidth=canvas.points(1.5), url=target)
            )  # fmt: skip
            if 8 * len(field.text) + 4 < wide:
                axes.text(
                    column + 0.5, -place - 0.53, field.text, ha="center", va="center", color=ink, size="small",
                    url=target,
                )  # fmt: skip
    axes.set_yticks([-place - 0.5 for place in range(len(rows))], names)
    axes.tick_params(axis="y", labelcolor=PALETTE["ink"])
    longest = max(len(line) for name in columns for line in name.split("\n"))
    every = math.ceil((7 * longest + 6) / wide)
    axes.set_xticks([place + 0.5 for place in range(0, len(columns), every)], columns[::every])
    axes.set_xlabel(x_label)
    axes.set_xlim(0, len(columns))
    axes.set_ylim(-len(rows), 0)
    axes.spines["bottom"].set_visible(False)


def histograms(
    rows: Sequence[dict[int, int]], names: Sequence[str], x_label: str, axes: "Axes", canvas: Canvas
) -> None:
    """One above the other on one scale; a row is value -> how many. Some row must not be empty."""
    tallest = max(count for row in rows for count in row.values())
    longest = max(value for row in rows for value in row)
    for place, row in enumerate(rows):
        colour = shade(place, len(rows) - 1)
        heights = [0.74 * count / tallest for count in row.values()]
        axes.axhline(-place, color=PALETTE["grid"], linewidth=canvas.points(1))
        axes.bar(
            list(row), heights, bottom=-place, width=0.84, color=PALETTE[colour.name], alpha=max(colour.alpha, 0.45)
        )
        note = f"{sum(row.values()):,} plans"
        if row:
            axes.plot(
                [max(row)], [heights[-1] - place + 0.13], "v", color=PALETTE["vermillion"], markersize=canvas.points(6)
            )
            note += f"\nlongest {max(row)}"
        axes.annotate(
            note, (1, 0.3 - place), (canvas.points(10), 0), xycoords=("axes fraction", "data"),
            textcoords="offset points", va="center", size="small", linespacing=1.35,
        )  # fmt: skip
    axes.set_yticks([0.3 - place for place in range(len(rows))], names)
    axes.tick_params(axis="y", labelcolor=PALETTE["ink"])
    axes.set_ylim(0.92 - len(rows), 1)
    axes.set_xlim(-0.6, longest + 1)  # a plan may have no steps
    axes.set_xlabel(x_label)
    axes.locator_params(axis="x", integer=True)


def bars(rows: Sequence[Bar], form: Form, axes: "Axes", canvas: Canvas) -> None:
    """One horizontal bar per row, its parts end to end, with `form`(value) in every part that has the room."""
    longest = max(sum(part.value for part in row.parts) for row in rows)
    for place, row in enumerate(rows):
        start = 0.0
        for part in row.parts:
            colour = PALETTE[part.colour.name]
            target = canvas.link(part.target) if part.target else None
            axes.barh(
                -place, part.value, 0.68, start, color=colour, alpha=part.colour.alpha, edgecolor=PALETTE["paper"],
                linewidth=canvas.points(1), label=part.title if place == 0 else None, url=target,
            )  # fmt: skip
            text = form(part.value)
            if part.value / longest * canvas.across > 8 * len(text) + 6:
                ink = PALETTE["ink" if part.colour.alpha < 1 else "on-colour"]
                axes.text(
                    start + part.value / 2, -place, text, ha="center", va="center", color=ink, size="small", url=target
                )
            start += part.value
    axes.set_yticks([-place for place in range(len(rows))], [row.title for row in rows])
    axes.tick_params(axis="y", labelcolor=PALETTE["ink"])
    axes.set_ylim(0.5 - len(rows), 0.5)
    axes.set_xlim(0, longest)
    axes.xaxis.set_major_formatter(lambda value, _: form(value))
    axes.locator_params(axis="x", nbins=4 if canvas.narrow else 6)
    axes.spines["bottom"].set_visible(False)
    _legend(axes, canvas)


def _whole_numbers(axes: "Axes", canvas: Canvas, low: float, high: float) -> None:
    if low == high:
        axes.set_xlim(low - 0.5, low + 0.5)
        axes.set_xticks([low])
        return
    axes.set_xlim(low - 0.05 * (high - low), high + 0.02 * (high - low))
    step = _every(int(high - low) + 1, canvas)
    axes.set_xticks(range(math.ceil(low / step) * step, int(high) + 1, step))


def _every(count: int, canvas: Canvas) -> int:
    """Of so many ticks, one in how many has room for its label; a round number."""
    least = count / (8 if canvas.narrow else 16)
    steps = (int(step * 10**power) for power in range(9) for step in (1, 2, 5))
    return next(step for step in steps if step >= least)


def _legend(axes: "Axes", canvas: Canvas) -> None:
    """Above the axes, in the room that the canvas keeps for it; nothing where there is but one thing to tell."""
    if canvas.legend_columns:
        options: dict[str, Any] = {"bbox_to_anchor": (0, 1 + 10 / canvas.down), "ncols": canvas.legend_columns}
        axes.legend(loc="lower left", **options)
