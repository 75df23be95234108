"""Sokoban's floors, and one box pushed about on them while all others stand still."""

import re
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush

from iterdeploy.planning.domain import Step
from iterdeploy.planning.rng import Rng

Grid = dict[str, dict[str, str]]
"""Floor cell -> direction -> the floor cell there."""
BACK = {"up": "down", "down": "up", "left": "right", "right": "left"}
OFFSETS = {"up": (-1, 0), "down": (1, 0), "left": (0, -1), "right": (0, 1)}
"""Rows down and columns right."""
AROUND = [(-1, -1), (-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1)]
"""The eight cells around one, clockwise."""
MOST_WALLS = 20
"""Percent of a floor's inner cells."""


def cell_name(row: int, column: int) -> str:
    return f"loc_{row}_{column}"


def position(cell: str) -> tuple[int, int]:
    found = re.fullmatch(r"loc_(\d+)_(\d+)", cell)
    if found is None:
        raise ValueError(f"only cells named loc_<row>_<column> can be drawn as a map, not {cell}")
    return int(found[1]), int(found[2])


def ring(cell: str) -> list[str]:
    row, column = position(cell)
    return [cell_name(row + down, column + right) for down, right in AROUND]


def random_floor(side: int, corner: tuple[int, int], rng: Rng) -> Grid:
    """Short pieces of wall in a walled square; of what floor they leave, the largest connected part.

    `corner`: rows and columns that lie before the square.
    """
    inner = [(row, column) for row in range(2, side) for column in range(2, side)]
    most = len(inner) * rng.between(0, MOST_WALLS) // 100
    walls: dict[tuple[int, int], None] = {}
    while len(walls) < most:
        row, column = rng.choice(inner)
        down, right = rng.choice([(0, 1), (1, 0)])
        walls.update(((row + down * i, column + right * i), None) for i in range(rng.between(1, 3)))
    down, right = corner
    free = {cell: cell_name(cell[0] + down, cell[1] + right) for cell in inner if cell not in walls}
    grid = {
        name: {
            way: free[row + down, column + right]
            for way, (down, right) in OFFSETS.items()
            if (row + down, column + right) in free
        }
        for (row, column), name in free.items()
    }
    parts: list[dict[str, None]] = []
    for cell in grid:
        if not any(cell in part for part in parts):
            part = {cell: None}
            queue = [cell]
            for place in queue:
                new = [there for there in grid[place].values() if there not in part]
                part.update(dict.fromkeys(new))
                queue += new
            parts.append(part)
    largest = max(parts, key=len)
    return {cell: ways for cell, ways in grid.items() if cell in largest}


def read_grid(facts: Mapping[str, list[tuple[str, ...]]]) -> Grid:
    """The floor of a task: every cell that is clear or has a box, with its neighbours."""
    grid: Grid = {cell: {} for *_, cell in facts["clear"] + facts["at"] + facts["at-robot"]}
    for cell, there, way in facts["adjacent"]:
        if cell in grid and there in grid:
            grid[cell][way] = there
    return grid


def connected_floor(grid: Grid, start: str) -> list[str]:
    """The cells that can be walked to from `start` if boxes are not in the way, the nearest first."""
    found = {start: None}
    queue = [start]
    for cell in queue:
        new = [there for there in grid[cell].values() if there not in found]
        found.update(dict.fromkeys(new))
        queue += new
    return queue


def cell_names(cells: Sequence[str], grid: Grid, robot: str, rng: Rng, pool: int) -> dict[str, str]:
    """Every cell -> loc_<row>_<column>, by the directions to its neighbours; the floor lies anywhere in the pool.

    Cells that the robot can never get to are told apart only. ValueError where two cells would lie in one place.
    """
    places = {robot: (0, 0)}
    for cell in connected_floor(grid, robot):
        row, column = places[cell]
        for way, there in grid[cell].items():
            down, right = OFFSETS[way]
            if places.setdefault(there, (row + down, column + right)) != (row + down, column + right):
                raise ValueError(f"{there} lies in two places")
    if len(set(places.values())) < len(places):
        raise ValueError("two cells lie in one place")
    corner = []
    for numbers in zip(*places.values(), strict=True):
        free = max(0, pool - 3 - (max(numbers) - min(numbers)))
        corner.append(2 + rng.below(free + 1) - min(numbers))
    names = {cell: cell_name(row + corner[0], column + corner[1]) for cell, (row, column) in places.items()}
    return names | {cell: f"cell{number}" for number, cell in enumerate(cells) if cell not in names}


def cuts(grid: Grid, cell: str, boxes: dict[str, None]) -> bool:
    """Whether a box here might separate cells next to it: the free cells around it are in several groups."""
    free = [place in grid and place not in boxes for place in ring(cell)]
    groups = sum(free[i] and not free[i - 1] and (i % 2 == 1 or free[(i + 1) % 8]) for i in range(8))
    return groups > 1


@dataclass(frozen=True)
class Pushed:
    """A box that has got somewhere, and the robot behind it."""

    robot: str
    box: str
    """The box's cell."""
    before: "Pushed | None"
    steps: tuple[Step, ...]
    """The robot's walk and its push since `before`."""

    def plan(self) -> list[Step]:
        parts: list[tuple[Step, ...]] = []
        at: Pushed | None = self
        while at is not None:
            parts.append(at.steps)
            at = at.before
        return [step for part in reversed(parts) for step in part]


def pushes(grid: Grid, robot: str, name: str, box: str, others: Container[str]) -> Iterator[Pushed]:
    """Dijkstra's search over the cells of robot and box: each pair once, by the number of steps that it takes.

    `name` is the box's name, `box` its cell and `others` the cells of all other boxes.
    """
    queue = [(0, 0, Pushed(robot, box, None, ()))]
    count = 0
    seen: set[tuple[str, str]] = set()
    while queue:
        cost, _, at = heappop(queue)
        if (at.robot, at.box) in seen:
            continue
        seen.add((at.robot, at.box))
        if at.before is not None:
            yield at
        stands: dict[str, tuple[str, str]] = {}
        for way, beyond in grid[at.box].items():
            stand = grid[at.box].get(BACK[way])
            if stand is not None and stand not in others and beyond not in others:
                stands[stand] = (way, beyond)
        for stand, walk in _walks(grid, at, stands, others).items():
            way, beyond = stands[stand]
            push = ("push", stand, at.box, beyond, way, name)
            count += 1
            heappush(queue, (cost + len(walk) + 1, count, Pushed(at.box, beyond, at, (*walk, push))))


def _walks(grid: Grid, at: Pushed, ends: Mapping[str, object], others: Container[str]) -> dict[str, tuple[Step, ...]]:
    """Shortest walks of the robot to those of the ends that it can get to, around all boxes."""
    arrived: dict[str, Step | None] = {at.robot: None}
    walks: dict[str, tuple[Step, ...]] = {}
    queue = [at.robot]
    for cell in queue:
        if cell in ends:
            walk: list[Step] = []
            step = arrived[cell]
            while step is not None:
                walk.append(step)
                step = arrived[step[1]]
            walks[cell] = tuple(reversed(walk))
            if len(walks) == len(ends):
                break
        for way, there in grid[cell].items():
            if there not in arrived and there != at.box and there not in others:
                arrived[there] = ("move", cell, there, way)
                queue.append(there)
    return walks
