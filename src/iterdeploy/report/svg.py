"""Matplotlib's SVG made fit for a page: light and dark, text as text, the same bytes every time.

A figure is painted with the colours of `PALETTE`. On its own it keeps them, on white. In a page each becomes the CSS
variable of that name, so that one drawing serves both modes; style.css gives the variables their values.
"""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from html import escape
from io import StringIO
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
}


@dataclass(frozen=True, slots=True)
class Canvas:
    """A figure's size and the margins around its axes, in pixels."""

    width: int
    height: int
    left: int
    right: int = 12
    top: int = 14
    bottom: int = 46
    font_size: float = 12.5

    @property
    def legend_columns(self) -> int:
        return 3 if self.narrow else 6

    def with_legend_of(self, entries: int) -> "Canvas":
        """The same with room on top for a legend of so many entries."""
        rows = math.ceil(entries / self.legend_columns)
        return replace(self, height=self.height + 20 * rows, top=self.top + 20 * rows)

    @property
    def narrow(self) -> bool:
        return self.width < 500

    @property
    def across(self) -> int:
        """Width of the axes."""
        return self.width - self.left - self.right


Paint = Callable[["Axes", Canvas], None]


def draw(name: str, canvas: Canvas, paint: Paint, *, background: str = "none") -> str:
    """The SVG file of one pair of axes. `name` goes into its ids, which are unique if names are."""
    import matplotlib
    from matplotlib.figure import Figure

    # Whatever style the user or another library chose must not show here, and ours must not show there.
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_style(canvas) | {"svg.hashsalt": f"{name}-{canvas.width}"})
        figure = Figure(figsize=(canvas.width / 72, canvas.height / 72), facecolor=background)
        axes = figure.add_axes(
            (
                canvas.left / canvas.width,
                canvas.bottom / canvas.height,
                canvas.across / canvas.width,
                (canvas.height - canvas.bottom - canvas.top) / canvas.height,
            )
        )
        for side in ("left", "right", "top"):
            axes.spines[side].set_visible(False)
        axes.set_axisbelow(True)
        paint(axes, canvas)
        out = StringIO()
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(out, format="svg", facecolor=background, metadata=nothing)
    return _tidied(out.getvalue())


def alone(svg: str, label: str) -> str:
    """An SVG file that is read aloud as `label`."""
    return svg.replace("<svg ", f'<svg role="img" aria-label="{escape(label)}" ', 1)


def inline(svg: str, label: str) -> str:
    """The same drawing as an element of a page, its colours those of the page's style."""
    start = svg.index("<svg ")
    end = svg.index(">", start)
    # A page needs no namespaces, and its style says how large a drawing is.
    body = re.sub(r' (?:xmlns(?::\w+)?|version|width|height)="[^"]*"', "", svg[start:end]) + svg[end:]
    body = re.sub(r"<defs>\s*<style.*?</style>\s*</defs>", "", body, count=1, flags=re.DOTALL)
    body = re.sub(r"font-family: [^;\"]*;? ?", "", body)
    for name, colour in PALETTE.items():
        body = body.replace(colour, f"var(--{name})")
    return alone(body, label)


def _style(canvas: Canvas) -> dict[Any, Any]:
    return {
        "svg.fonttype": "none",
        "font.size": canvas.font_size,
        "text.color": PALETTE["ink"],
        "axes.labelcolor": PALETTE["muted"],
        "axes.edgecolor": PALETTE["muted"],
        "axes.facecolor": "none",
        "axes.linewidth": 1.0,
        "axes.labelpad": 7.0,
        "xtick.color": PALETTE["muted"],
        "ytick.color": PALETTE["muted"],
        "xtick.major.size": 0.0,
        "ytick.major.size": 0.0,
        "xtick.major.pad": 7.0,
        "ytick.major.pad": 7.0,
        "grid.color": PALETTE["grid"],
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
    svg = re.sub(r"font-family: [^;\"]*", "font-family: system-ui, sans-serif", svg)
    return re.sub(r"(?<=[\dz]) ?\n(?=[LCQMz\"])", " ", svg)
