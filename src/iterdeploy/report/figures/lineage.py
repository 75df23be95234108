"""Which traces of which generation trained which model: the generations as a graph.

Time runs from left to right. Above the line, a band from g to G stands for the traces of g that trained G, as wide as
they are many; below it, dashes say whose weights the training of G started from.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from iterdeploy.report.drawing import tables
from iterdeploy.report.drawing.figure import Figure
from iterdeploy.report.drawing.painting import shade
from iterdeploy.report.drawing.svg import PALETTE, Canvas
from iterdeploy.report.drawing.tables import traces_where
from iterdeploy.report.facts.contents import Contents
from iterdeploy.tables import Cell, Link, Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BROADEST = 100.0
"""Pixels of the band of the most traces, divided among the nodes: many bands must be thin."""


@dataclass(frozen=True, slots=True)
class Node:
    generation: int
    coverage: str
    traces: int
    """How many trained it."""
    parent: int | None
    """The generation whose weights its training started from."""


@dataclass(frozen=True, slots=True)
class Edge:
    origin: int
    generation: int
    traces: int


def lineage(contents: Contents) -> Figure | None:
    """None where no generation was trained."""
    edges = [
        Edge(int(origin), generation, traces)
        for generation, pool in contents.pools.items()
        for origin, traces in pool.by_generation.items()
        if traces
    ]
    if not edges:
        return None
    nodes = [_node(generation, contents) for generation in range(max(contents.pools) + 1)]
    return Figure(
        "lineage",
        "Lineage",
        "Each band leads from the generation that wrote traces to a generation that they trained, and is as broad as "
        "they are many; dashes lead from the weights that training started from. The numbers below: coverage, and "
        "traces trained on.",
        "Graph of the generations: "
        + "; ".join(f"generation {e.generation} trained on {e.traces} traces of generation {e.origin}" for e in edges),
        lambda width: Canvas(width, 330 if width > 400 else 270, 26, 26, 8, 74),
        partial(_paint, nodes, edges),
        _table(nodes, edges),
        linked=True,
    )


def _node(generation: int, contents: Contents) -> Node:
    measured = contents.metrics[generation] if generation < len(contents.metrics) else None
    split = measured and (measured.held_out or measured.deployed)
    parent = generation - 1 if contents.config.training.start_from == "previous" else 0
    return Node(
        generation,
        f"{split.coverage:.0%}" if split else "",
        len(contents.pools[generation].weights) if generation in contents.pools else 0,
        parent if generation else None,
    )


def _table(nodes: Sequence[Node], edges: Sequence[Edge]) -> Table:
    rows: list[list[Cell]] = [
        [
            Link(f"generation {edge.origin}", traces_where(generation=edge.origin)),
            Link(f"generation {edge.generation}", traces_where(pool=edge.generation)),
            Link(tables.number(edge.traces), traces_where(generation=edge.origin, pool=edge.generation)),
            f"generation {nodes[edge.generation].parent}",
        ]
        for edge in edges
    ]
    return Table("", ["traces of", "trained", "traces", "from the weights of"], rows)


def _paint(nodes: Sequence[Node], edges: Sequence[Edge], axes: "Axes", canvas: Canvas) -> None:
    last = nodes[-1].generation
    most = max(edge.traces for edge in edges)
    for edge in sorted(edges, key=lambda edge: edge.origin - edge.generation):
        colour = shade(edge.origin, last)
        _arc(
            axes, edge.origin, edge.generation, (edge.generation - edge.origin) / last, canvas,
            edgecolor=PALETTE[colour.name], alpha=min(0.75, max(0.35, colour.alpha)),
            linewidth=canvas.points(max(1.0, min(15.0, BROADEST / len(nodes)) * edge.traces / most)),
            url=canvas.link(traces_where(generation=edge.origin, pool=edge.generation)),
        )  # fmt: skip
    for node in nodes:
        if node.parent is not None:
            _arc(
                axes, node.parent, node.generation, -0.45 * (node.generation - node.parent) / last, canvas,
                edgecolor=PALETTE["muted"], linewidth=canvas.points(1), linestyle=(0, (3, 3)),
            )  # fmt: skip
        target = canvas.link(traces_where(generation=node.generation))
        axes.plot(
            [node.generation], [0], "o", color=PALETTE["paper"], markeredgecolor=PALETTE["ink"],
            markeredgewidth=canvas.points(1.6), markersize=canvas.points(24), url=target, clip_on=False, zorder=5,
        )  # fmt: skip
        axes.text(
            node.generation, -0.012, str(node.generation), ha="center", va="center", weight="bold", url=target, zorder=6
        )
    axes.set_xlim(0, last)
    axes.set_ylim(-0.52, 1.06)
    axes.set_yticks([])
    axes.spines["bottom"].set_visible(False)
    every = max(1, round(len(nodes) / (7 if canvas.narrow else 12)))
    labels = [f"{node.coverage}\n{f'{node.traces:,}' if node.traces else 'base'}" for node in nodes[::every]]
    axes.set_xticks([node.generation for node in nodes[::every]], labels, linespacing=1.5)
    axes.set_xlabel("generation's coverage, and traces that trained it")


def _arc(axes: "Axes", start: float, end: float, rise: float, canvas: Canvas, **look: object) -> None:
    """From `start` to `end` on the line, up to `rise`."""
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    control = rise * 4 / 3  # where a cubic curve's summit is at `rise`
    corners = [(start, 0.0), (start, control), (end, control), (end, 0.0)]
    path = Path(corners, [Path.MOVETO, Path.CURVE4, Path.CURVE4, Path.CURVE4])
    axes.add_patch(PathPatch(path, facecolor="none", capstyle="butt", clip_on=False, **look))
