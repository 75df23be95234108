"""A figure: what it shows, in words, as a drawing of any width, and as the table of its numbers."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from iterdeploy.report.drawing import painting
from iterdeploy.report.drawing.painting import Bar, Curve, Field, Height
from iterdeploy.report.drawing.svg import Canvas, Paint, for_page, for_paper
from iterdeploy.tables import Table
from iterdeploy.wording import plain

WIDE, NARROW = 540, 350
"""Pixels in a page; style.css chooses between them, so that text stays readable on a telephone."""

PAPER = {"": (NARROW, 3.3), "-wide": (760, 6.8)}
"""What a paper's file name ends with -> width in pixels, and in inches: one column and two of common paper styles."""
LONGEST_LABEL = 26
"""Characters."""


@dataclass(frozen=True, slots=True)
class Figure:
    name: str
    title: str
    caption: str
    label: str
    """Read aloud in place of the drawing."""
    canvas_of: Callable[[int], Canvas]
    """The canvas of a width in pixels."""
    paint: Paint
    table: Table
    linked: bool = False
    """Parts of the drawing lead to the traces that they count."""
    y_label: str = ""
    """In a paper, at the vertical axis."""

    def drawing(self, width: int) -> str:
        """The drawing as an element of a page."""
        return for_page(self.name, replace(self.canvas_of(width), linked=self.linked), self.paint, self.label)

    def files(self) -> Mapping[str, bytes]:
        """File name -> content, for a paper."""
        out = {}
        for ending, (width, inches) in PAPER.items():
            canvas = self.canvas_of(width)
            left = canvas.left + (22 if self.y_label else 0)
            canvas = replace(canvas, scale=72 * inches / width, left=left, y_label=self.y_label)
            for form in ("svg", "pdf"):
                out[f"{self.name}{ending}.{form}"] = for_paper(self.name, canvas, self.paint, form)
        return out


def curves(
    name: str, title: str, caption: str, label: str, lines: Sequence[Curve], height: Height, table: Table,
    x_label: str = "generation", down: int = 290,
) -> Figure:  # fmt: skip
    lines = [replace(line, title=_label(line.title)) for line in lines]
    titles = [line.title for line in lines] if len(lines) > 1 else []
    left = 16 + 8 * max(len(height.form(value)) for line in lines for value in [*line.y, *line.high])
    return Figure(
        name, title, caption, label,
        lambda width: _legend(Canvas(width, down if width > NARROW else 250, max(44, left), max(44, left + 4)), titles),
        partial(painting.curves, lines, height, x_label), table,
        y_label=title.removesuffix(" by generation").lower(),
    )  # fmt: skip


def heat(
    name: str, title: str, caption: str, label: str, rows: Sequence[Sequence[Field]], names: Sequence[str],
    columns: Sequence[str], table: Table, x_label: str = "generation", most: float = 1.0,
) -> Figure:  # fmt: skip
    names = list(map(_label, names))
    left = 18 + 8 * max(map(len, names))
    return Figure(
        name, title, caption, label,
        lambda width: Canvas(width, 52 + 30 * len(rows), left, 8, 4, 48),
        partial(painting.heat, rows, names, columns, x_label, most), table, linked=True,
    )  # fmt: skip


def bars(
    name: str, title: str, caption: str, label: str, rows: Sequence[Bar], form: painting.Form, table: Table
) -> Figure:
    rows = [replace(row, title=_label(row.title)) for row in rows]
    titles = [part.title for part in rows[0].parts]
    left = 18 + 8 * max(len(row.title) for row in rows)
    return Figure(
        name, title, caption, label,
        lambda width: _legend(Canvas(width, 44 + 38 * len(rows), left, 22, bottom=30), titles),
        partial(painting.bars, rows, form), table, linked=True,
    )  # fmt: skip


def histograms(
    name: str, title: str, caption: str, label: str, rows: Sequence[dict[int, int]], names: Sequence[str],
    table: Table, x_label: str,
) -> Figure:  # fmt: skip
    names = list(map(_label, names))
    left = 18 + 8 * max(map(len, names))
    return Figure(
        name, title, caption, label,
        lambda width: Canvas(width, 64 + 48 * len(rows), left, 92, top=8),
        partial(painting.histograms, rows, names, x_label), table,
    )  # fmt: skip


def _label(text: str) -> str:
    """What fits next to or above a drawing: names are as long as somebody likes."""
    text = plain(text)
    return text if len(text) <= LONGEST_LABEL else f"{text[: LONGEST_LABEL - 11]}...{text[-8:]}"


def _legend(canvas: Canvas, titles: Sequence[str]) -> Canvas:
    return canvas.with_legend_of(titles) if titles else replace(canvas, legend_columns=0)
