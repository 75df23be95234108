"""Draws rooms.svg: the rooms of the package and who imports whom, from the tables in architecture.md.

    python docs/rooms.py

A test holds those tables against the imports in the source, and the picture against the tables.
"""

import re
from collections.abc import Mapping, Sequence
from graphlib import TopologicalSorter
from html import escape
from itertools import pairwise
from pathlib import Path

DOCS = Path(__file__).parent
GROUND = ("types", "config", "config_deployment", "config_sampling", "sections", "wording", "tables", "forms")
"""The ground floor: rooms that import nothing and that every other one may import."""

Rooms = Mapping[str, frozenset[str]]
"""Room -> the rooms that it imports."""

WIDTH, FLOOR, HEIGHT = 960, 76, 30
"""Of the picture, of a floor with the space above it, and of a box, in pixels."""
LANE, GAP = 12, 18
"""Width that an arrow takes on a floor that it passes; least space between two things on a floor."""
LETTER = 7.9
"""Width of a letter of the names."""
ROUNDS = 60

STYLE = """
  text { font: 500 13px ui-monospace, Menlo, Consolas, monospace; fill: #1f2328; text-anchor: middle }
  rect { fill: #f6f8fa; stroke: #8c959f } path { fill: none; stroke: #8c959f; stroke-width: 1.2 }
  .ground { fill: #ddf4ff; stroke: #54aeff }
  .head { fill: #8c959f; stroke: none } .note { font-weight: 400; fill: #59636e }
  @media (prefers-color-scheme: dark) {
    text { fill: #f0f6fc } rect { fill: #212830; stroke: #656c76 } path { stroke: #656c76 } .head { fill: #656c76 }
    .ground { fill: #121d2f; stroke: #1f6feb } .note { fill: #9198a1 }
  }
"""


def table(heading: str) -> Rooms:
    """The table below a heading of architecture.md: its first column names a room, its last what it imports."""
    text = (DOCS / "architecture.md").read_text(encoding="utf-8").partition(f"\n{heading}\n")[2].partition("\n#")[0]
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| `")]
    return {_names(row[0])[0]: frozenset(_names(row[-1])) for row in rows}


def _names(cell: str) -> list[str]:
    """
    >>> _names("`steps/`, `loop.py`")
    ['steps', 'loop']
    """
    return [name.removesuffix("/").removesuffix(".py") for name in re.findall("`(.*?)`", cell)]


def picture(rooms: Rooms) -> str:
    """The rooms as an SVG, floor over floor. Arrows that longer ways along other arrows imply are left out."""
    rooms = {room: imported for room, imported in rooms.items() if room not in GROUND}
    floors, arrows = _floors(rooms)
    across = _across(floors, arrows)
    bottom = FLOOR * (len(floors) - 0.5)
    places = {node: (across[node], bottom - FLOOR * level) for level, row in enumerate(floors) for node in row}
    drawn = [_arrow([places[node] for node in way]) for way in arrows]
    drawn += [_box(node, *places[node]) for node in places if isinstance(node, str)]
    ground = _even(GROUND)
    drawn.append(f'<text class="note" x="{WIDTH / 2}" y="{bottom + FLOOR - 18:g}">every room may import these</text>')
    drawn += [_box(name, x, bottom + FLOOR + 12, "ground") for name, x in ground.items()]
    height = bottom + FLOOR + 12 + HEIGHT
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:g}" width="{WIDTH}" role="img" '
        'aria-label="The rooms of the package and their imports">\n'
        f"<style>{STYLE}</style>\n" + "\n".join(drawn) + "\n</svg>\n"
    )


Node = str | tuple[str, str, int]
"""A room, or the place on a floor where the arrow between two rooms passes."""


def _floors(rooms: Rooms) -> tuple[list[list[Node]], list[list[Node]]]:
    """What lies on each floor, from below, and each arrow as what it leads through, from above."""
    level: dict[str, int] = {}
    below: dict[str, set[str]] = {}
    for room in TopologicalSorter({room: sorted(imported) for room, imported in rooms.items()}).static_order():
        level[room] = 1 + max((level[other] for other in rooms[room]), default=-1)
        below[room] = set(rooms[room]).union(*(below[other] for other in rooms[room]))
    floors: list[list[Node]] = [[] for _ in range(max(level.values()) + 1)]
    for room in sorted(rooms):
        floors[level[room]].append(room)
    arrows: list[list[Node]] = []
    for room in sorted(rooms):
        for other in sorted(rooms[room]):
            if not any(other in below[between] for between in rooms[room]):
                passed: list[Node] = [(room, other, floor) for floor in range(level[room] - 1, level[other], -1)]
                for floor, node in zip(range(level[room] - 1, level[other], -1), passed, strict=True):
                    floors[floor].append(node)
                arrows.append([room, *passed, other])
    return floors, arrows


def _across(floors: Sequence[Sequence[Node]], arrows: Sequence[Sequence[Node]]) -> dict[Node, float]:
    """Where each node stands on its floor: near the mean of its neighbours and of the place where it would stand if the
    floor were evenly filled."""
    neighbours: dict[Node, list[Node]] = {}
    for way in arrows:
        for upper, lower in pairwise(way):
            neighbours.setdefault(upper, []).append(lower)
            neighbours.setdefault(lower, []).append(upper)
    across = {node: x for row in floors for node, x in _even(row).items()}
    for _ in range(ROUNDS):
        for row in (*floors, *reversed(floors)):
            even = _even(sorted(row, key=lambda node: across[node]))
            near = {node: [even[node], *(across[other] for other in neighbours.get(node, ()))] for node in row}
            across |= _apart({node: sum(found) / len(found) for node, found in near.items()})
    return across


def _even(row: Sequence[Node]) -> dict[Node, float]:
    return {node: WIDTH * (i + 0.5) / len(row) for i, node in enumerate(row)}


def _apart(wished: Mapping[Node, float]) -> dict[Node, float]:
    """The nodes of a floor near their wished places, in that order, without touching each other or the edge."""
    row = sorted(wished, key=lambda node: (wished[node], str(node)))
    gaps = [(_width(one) + _width(other)) / 2 + GAP for one, other in pairwise(row)]
    least, most = _width(row[0]) / 2, WIDTH - _width(row[-1]) / 2
    pushed = _push([wished[node] for node in row], gaps, least, most)
    back = _push([-wished[node] for node in reversed(row)], gaps[::-1], -most, -least)
    return {node: (left - right) / 2 for node, left, right in zip(row, pushed, reversed(back), strict=True)}


def _push(wished: Sequence[float], gaps: Sequence[float], least: float, most: float) -> list[float]:
    """Each place moved up as far as the gaps demand, then down again as far as `most` does.

    >>> _push([0, 1, 9], [5, 5], 0, 9)
    [-1, 4, 9]
    """
    places = [max(least, wished[0])]
    for place, gap in zip(wished[1:], gaps, strict=True):
        places.append(max(place, places[-1] + gap))
    places[-1] = min(most, places[-1])
    for i in range(len(gaps) - 1, -1, -1):
        places[i] = min(places[i], places[i + 1] - gaps[i])
    return places


def _width(node: Node) -> float:
    return LETTER * len(node) + 20 if isinstance(node, str) else LANE


def _box(name: str, x: float, y: float, kind: str = "") -> str:
    width, word = _width(name), f' class="{kind}"' if kind else ""
    corner = f'x="{x - width / 2:.1f}" y="{y - HEIGHT / 2:g}"'
    return (
        f'<rect{word} {corner} width="{width:.1f}" height="{HEIGHT}" rx="7"/>'
        f'<text x="{x:.1f}" y="{y + 4.5:g}">{escape(name)}</text>'
    )


def _arrow(way: Sequence[tuple[float, float]]) -> str:
    """A curve from the lower edge of the first box through all places to the upper edge of the last."""
    (x, y), half = way[0], HEIGHT / 2
    path = f"M{x:.1f} {y + half:g}"
    for i, (next_x, next_y) in enumerate(way[1:]):
        last = i == len(way) - 2
        start, end = y + half, next_y - half - (6 if last else 0)
        middle = (start + end) / 2
        path += f"C{x:.1f} {middle:g} {next_x:.1f} {middle:g} {next_x:.1f} {end:g}"
        if not last:
            path += f"V{next_y + half:g}"
        x, y = next_x, next_y
    tip = y - half
    return f'<path d="{path}"/><path class="head" d="M{x:.1f} {tip:g}l-4 -8h8z"/>'


if __name__ == "__main__":
    (DOCS / "rooms.svg").write_text(picture(table("## The rooms")), encoding="utf-8")
