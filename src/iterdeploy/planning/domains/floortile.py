"""Floortile: robots paint a floor tile by tile, each tile from the tile below or above it, and never step on paint.

Tasks: a floor of `size` columns and `size` to `size + 2` rows to be painted, with an unpainted row below it where
robots can stand; robots on random tiles with random colours. The goal is a chessboard of black and white, or, half of
the time, random colours. Ramps: 1 or 2 columns and one robot (base); then as the IPC 2023 learning track, from 3
columns with 1 to 3 robots (easy), from 10 with 4 to 15 (medium), from 25 with 15 to 35 (hard).

The scripted planner gives every robot a block of neighbouring columns. First the robots walk, one after the other, to
the row under the topmost, each to where its block begins: always the nearest robot that has no block yet, so nobody
is in its way. Then each robot paints its block row by row from the top, back and forth, the tiles above it. No robot
ever enters another's block. Its simplification: colours are changed as they come, at nearly every tile of a
chessboard. It needs a rectangular floor, no paint at the start and no more robots than columns.
"""

from dataclasses import dataclass
from itertools import pairwise

from iterdeploy.pddl import Problem
from iterdeploy.planning.domain import PlanningDomain, SizeRamp, Step
from iterdeploy.planning.domains.common import (
    Facts,
    PolicyFailed,
    by_predicate,
    domain_text,
    interpolate,
    names,
    problem_text,
)
from iterdeploy.planning.domains.graph import FAR, Routes
from iterdeploy.planning.rng import Rng

COLORS = ["white", "black"]


@dataclass(frozen=True)
class Parameters:
    columns: int
    robots: int


def parameters(size: int) -> Parameters:
    return Parameters(
        columns=size,
        robots=interpolate(size, (1, 1), (3, 1), (5, 3), (10, 4), (22, 15), (25, 15), (37, 35)),
    )


def generate(size: int, rng: Rng, name: str) -> str:
    given = parameters(size)
    rows = rng.between(size, size + 2)
    grid = [[f"tile_{row}_{column + 1}" for column in range(given.columns)] for row in range(rows + 1)]
    tiles = [tile for row in grid for tile in row]
    robots = names("robot", given.robots, rng, pool=3)
    starts = rng.sample(tiles, given.robots)
    init: list[Step] = []
    for robot, tile in zip(robots, starts, strict=True):
        init += [("robot-at", robot, tile), ("robot-has", robot, rng.choice(COLORS))]
    init += [("available-color", color) for color in COLORS]
    init += [("clear", tile) for tile in tiles if tile not in starts]
    upwards = [pair for low, high in pairwise(grid) for pair in zip(low, high, strict=True)]
    rightwards = [pair for row in grid for pair in pairwise(row)]
    init += [("up", above, below) for below, above in upwards]
    init += [("down", below, above) for below, above in upwards]
    init += [("left", left, right) for left, right in rightwards]
    init += [("right", right, left) for left, right in rightwards]
    return problem_text(
        name,
        "floortile",
        [(tiles, "tile"), (robots, "robot"), (COLORS, "color")],
        init,
        _pattern(grid[1:], rng),
    )


def _pattern(grid: list[list[str]], rng: Rng) -> list[Step]:
    shift = rng.below(2)
    chessboard = rng.chance(0.5)
    goal: list[Step] = []
    for i, row in enumerate(grid):
        for j, tile in enumerate(row):
            goal.append(("painted", tile, COLORS[(i + j + shift) % 2] if chessboard else rng.choice(COLORS)))
    return goal


def solve(problem: Problem) -> list[Step]:
    facts = by_predicate(problem.init_list)
    grid = _grid(facts)
    robots = facts.pairs("robot-at")
    if facts["painted"] or len(robots) > len(grid[0]) or any(len(row) != len(grid[0]) for row in grid):
        raise PolicyFailed("the floor is not an unpainted rectangle with no more robots than columns")
    move = {(here, there): f"move_{way}" for way in ("up", "down", "left", "right") for there, here in facts[way]}
    goal = by_predicate(problem.goal_atoms()).pairs("painted")
    holds = facts.pairs("robot-has")
    bounds = [i * len(grid[0]) // len(robots) for i in range(len(robots) + 1)]
    walks = _gather(robots, [grid[-2][bound] for bound in bounds[:-1]], move)
    steps = [step for walk in walks.values() for step in walk]
    for robot, (start, end) in zip(walks, pairwise(bounds), strict=True):
        here = grid[-2][start]
        columns = list(range(start, end))
        for below, row in zip(grid[-2::-1], grid[:0:-1], strict=True):
            for column in columns:
                if below[column] != here:
                    steps.append((move[here, below[column]], robot, here, below[column]))
                    here = below[column]
                color = goal.get(row[column])
                if color is None:
                    continue
                if holds[robot] != color:
                    steps.append(("change_color", robot, holds[robot], color))
                    holds[robot] = color
                steps.append(("paint_up", robot, row[column], here, color))
            columns.reverse()
    return steps


def _gather(robots: dict[str, str], targets: list[str], move: dict[tuple[str, str], str]) -> dict[str, list[Step]]:
    """The robots in the order of the targets that they go to, each with its walk. Who has arrived no longer moves."""
    walks: dict[str, list[Step]] = {}
    for i, target in enumerate(targets):
        graph: dict[str, list[str]] = {}
        for here, there in move:
            if here not in targets[:i] and there not in targets[:i]:
                graph.setdefault(here, []).append(there)
        routes = Routes(graph)
        free = [robot for robot in robots if robot not in walks]
        robot = min(free, key=lambda robot: routes.distances(target).get(robots[robot], FAR))
        walks[robot] = [(move[here, there], robot, here, there) for here, there in routes.way(robots[robot], target)]
    return walks


def _grid(facts: Facts) -> list[list[str]]:
    """The tiles row by row, the lowest row first, each from left to right."""
    above = {below: tile for tile, below in facts["up"]}
    right = {left: tile for tile, left in facts["right"]}
    has_lower, has_left = set(above.values()), set(right.values())
    corner = next(tile for tile in above if tile not in has_lower and tile not in has_left)
    columns = [_line(tile, above) for tile in _line(corner, right)]
    return [list(row) for row in zip(*columns, strict=True)]


def _line(start: str, following: dict[str, str]) -> list[str]:
    line = [start]
    while line[-1] in following:
        line.append(following[line[-1]])
    return line


DOMAIN = PlanningDomain(
    name="floortile",
    pddl=domain_text("floortile"),
    size_unit="columns",
    ramps={
        "base": SizeRamp(1, 2),
        "easy": SizeRamp(3, 5),
        "medium": SizeRamp(10, 22),
        "hard": SizeRamp(25, 37),
    },
    generate=generate,
    solve=solve,
)
