"""Matplotlib's drawings made fit for a page and for a paper.

A figure is painted with the colours of `PALETTE`. In a paper it keeps them, on white. In a page each becomes the CSS
variable of that name, so that one drawing serves light and dark; style.css gives the variables their values. Text stays
text in a page, and the same numbers give the same bytes every time.
"""

import math
import re
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from html import escape
from io import BytesIO
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Okabe and Ito's colours, which differ for colour-blind eyes too. Each value once: it is replaced by its name.
PALETTE = {
    "ink": "#1c2126",
    "muted": "#68727d",
    "grid": "#e1e5e9",
    "paper": "#ffffff",
    "sunken": "#f3f5f7",
    "blue": "#0072b2",
    "vermillion": "#d55e00",
    "green": "#009e73",
    "orange": "#e69f00",
    "pink": "#cc79a7",
    "sky": "#56b4e9",
    "on-colour": "#11161b",
    "on-dark": "#fafbfc",
}


@dataclass(frozen=True, slots=True)
class Canvas:
    """A figure's size and the margins around its axes, in pixels."""

    width: int
    height: int
    left: int = 48
    right: int = 12
    top: int = 14
    bottom: int = 46
    legend_columns: int = 1
    scale: float = 1.0
    """Points in a pixel: 1 in a page; in a paper what makes the figure as wide as the paper wants it."""
    linked: bool = False
    """What is drawn may lead to other places of the page."""
    y_label: str = ""
    """What the vertical axis measures, where no caption says so."""

    def with_legend_of(self, entries: Sequence[str]) -> "Canvas":
        """This canvas with room on top for a legend of these entries."""
        if not entries:
            return self
        columns = max(1, min(len(entries), 6, int(self.across / (7 * max(map(len, entries)) + 36))))
        room = 20 * math.ceil(len(entries) / columns)
        return replace(self, height=self.height + room, top=self.top + room, legend_columns=columns)

    def points(self, pixels: float) -> float:
        """The length of so many pixels as Matplotlib wants it."""
        return pixels * self.scale

    def link(self, target: str) -> str | None:
        return target if self.linked else None

    @property
    def narrow(self) -> bool:
        return self.width < 500

    @property
    def across(self) -> int:
        """Width of the axes."""
        return self.width - self.left - self.right

    @property
    def down(self) -> int:
        """Height of the axes."""
        return self.height - self.top - self.bottom


Paint = Callable[["Axes", Canvas], None]


def for_page(name: str, canvas: Canvas, paint: Paint, label: str) -> str:
    """The drawing as an element of a page. `name` goes into its ids, which are unique if names are."""
    svg = _tidied(_draw(name, canvas, paint, "svg", {"svg.fonttype": "none"}).decode())
    start = svg.index("<svg ")
    end = svg.index(">", start)
    # A page needs no namespaces, and its style says how large a drawing is.
    body = re.sub(r' (?:xmlns(?::\w+)?|version|width|height)="[^"]*"', "", svg[start:end]) + svg[end:]
    body = re.sub(r"<defs>\s*<style.*?</style>\s*</defs>", "", body, count=1, flags=re.DOTALL)
    body = re.sub(r"font-family: [^;\"]*;? ?", "", body)
    # The table next to the drawing has the same links for the keyboard; here they only serve the pointer.
    body = re.sub(r'<a xlink:href="([^"]*)"[^>]*>', r'<a href="\1" tabindex="-1" aria-hidden="true">', body)
    for colour_name, colour in PALETTE.items():
        body = body.replace(colour, f"var(--{colour_name})")
    role = "group" if canvas.linked else "img"
    return body.replace("<svg ", f'<svg role="{role}" aria-label="{escape(label)}" ', 1)


def for_paper(name: str, canvas: Canvas, paint: Paint, form: str) -> bytes:
    """The drawing as a file of its own on white, "svg" or "pdf", with the fonts in it."""
    fonts = {"svg.fonttype": "path", "pdf.fonttype": 42}
    return _draw(name, canvas, paint, form, fonts, background=PALETTE["paper"])


def _draw(
    name: str, canvas: Canvas, paint: Paint, form: str, settings: dict[str, Any], background: str = "none"
) -> bytes:
    import matplotlib
    from matplotlib.figure import Figure

    # Whatever style the user or another library chose must not show here, nor this one there.
    with matplotlib.rc_context(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph")  # of names in a script that the font does not have
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_style(canvas) | settings | {"svg.hashsalt": f"{name}-{canvas.width}"})
        inches = canvas.points(1) / 72
        figure = Figure(figsize=(canvas.width * inches, canvas.height * inches), facecolor=background)
        axes = figure.add_axes(
            (
                canvas.left / canvas.width,
                canvas.bottom / canvas.height,
                canvas.across / canvas.width,
                canvas.down / canvas.height,
            )
        )
        for side in ("left", "right", "top"):
            axes.spines[side].set_visible(False)
        axes.set_axisbelow(True)
        paint(axes, canvas)
        out = BytesIO()
        unsaid = {"svg": ("Date", "Creator", "Format", "Type"), "pdf": ("CreationDate", "Creator", "Producer")}
        figure.savefig(out, format=form, facecolor=background, metadata=dict.fromkeys(unsaid[form]))
    return out.getvalue()


def _style(canvas: Canvas) -> dict[Any, Any]:
    return {
        "font.size": canvas.points(12.5),
        "text.parse_math": False,
        "text.color": PALETTE["ink"],
        "axes.labelcolor": PALETTE["muted"],
        "axes.edgecolor": PALETTE["muted"],
        "axes.facecolor": "none",
        "axes.linewidth": canvas.points(1),
        "axes.labelpad": canvas.points(7),
        "xtick.color": PALETTE["muted"],
        "ytick.color": PALETTE["muted"],
        "xtick.major.size": 0.0,
        "ytick.major.size": 0.0,
        "xtick.major.pad": canvas.points(7),
        "ytick.major.pad": canvas.points(7),
        "grid.color": PALETTE["grid"],
        "grid.linewidth": canvas.points(0.8),
        "patch.linewidth": canvas.points(1),
        "legend.frameon": False,
        "legend.borderpad": 0.0,
        "legend.borderaxespad": 0.0,
        "legend.handlelength": 1.4,
        "legend.handletextpad": 0.5,
        "legend.columnspacing": 1.4,
    }


def _tidied(svg: str) -> str:
    """Without document type, ids that nothing refers to, and the fonts of this machine."""
    referred = set(re.findall(r"#(\w+)", svg))
    svg = re.sub(r"<!DOCTYPE.*?>\s*", "", svg, flags=re.DOTALL)
    svg = re.sub(r' id="([^"]*)"', lambda match: match[0] if match[1] in referred else "", svg)
    return re.sub(r"(?<=[\dz]) ?\n(?=[LCQMz\"])", " ", svg)
