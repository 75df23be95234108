"""How a small model reads a Sokoban task, thinks about it and acts.

The rendering is a map that names its cells: each row of floor as the names of its cells, walls left out. A drawn map
would have to be counted through to find a cell's name, which small models cannot; a named cell is found by its name.
The reasoning plans run by run: where a box is pushed in one line, the cell behind it, and the robot's walk to that
cell. The plan says the same in PDDL.
"""

from itertools import pairwise

from iterdeploy.pddl import Problem
from iterdeploy.planning.domain import Reasoning, Step
from iterdeploy.planning.domains.common import by_predicate, shown_goal
from iterdeploy.planning.domains.sokoban_grid import OFFSETS, cell_name, connected_floor, position, read_grid

BOXES = 4
POOL = 12
"""Rows and columns that practice rooms lie in; larger rooms begin at the first."""
MARKS = ["row", "robot", "box", "push", "walk"]
INNER = [*OFFSETS, "behind"]
NAMES = [
    *(cell_name(row, column) for row in range(1, POOL + 1) for column in range(1, POOL + 1)),
    *(f"box{i}" for i in range(1, BOXES + 1)),
]


def compact(problem: Problem) -> str:
    """The floor that the robot can get to, row by row, the robot, and every box with its cell and its goal.

    ValueError for a task that this would not tell in full: another goal, cells that are not named by row and column, or
    neighbours in the map between which there is no way.
    """
    goals = by_predicate(shown_goal(problem, ["at"])).pairs("at")
    facts = by_predicate(problem.init_list)
    boxes = facts.pairs("at")
    robot = facts["at-robot"][0][0]
    grid = read_grid(facts)
    floor = {position(cell): grid[cell] for cell in connected_floor(grid, robot)}
    for (row, column), ways in floor.items():
        for way, (down, right) in OFFSETS.items():
            if (row + down, column + right) in floor and ways.get(way) != cell_name(row + down, column + right):
                raise ValueError("a short rendering cannot show a wall between two cells")
    rows: dict[int, list[str]] = {}
    for row, column in sorted(floor):
        rows.setdefault(row, ["row"]).append(cell_name(row, column))
    lines = [*rows.values(), ["robot", robot]]
    lines += [["box", box, cell, *([goals[box]] if box in goals else [])] for box, cell in boxes.items()]
    return "\n".join(" ".join(line) for line in lines)


def reasoning(steps: list[Step]) -> Reasoning:
    """For every run of pushes in one direction: the box's cells and the cell behind them, then the robot's walk."""
    lines: Reasoning = []
    walk: list[str] = []
    run: list[str] = []
    pushed = ("", "")
    for step in steps:
        if step[0] == "move":
            walk = [*(walk or [step[1]]), step[2]]
            continue
        _, stand, start, end, way, box = step
        if not walk and (box, way) == pushed:
            run.insert(-2, end)
        else:
            run = ["push", box, start, end, "behind", stand]
            lines += [run, ["walk", *(walk or [stand])]]
        walk, pushed = [], (box, way)
    return lines


def act(lines: Reasoning) -> list[Step]:
    """Each run's walk and then its pushes; also between cells that do not touch, where the reasoning says so."""
    steps: list[Step] = []
    run: list[str] = []
    for verb, *words in lines:
        if verb == "push":
            run = words
            continue
        steps += [("move", start, end, _direction(start, end)) for start, end in pairwise(words)]
        if "behind" in run:
            at = run.index("behind")
            box, *cells = run[:at] or [""]
            robot = [*run[at + 1 : at + 2], *cells]
            pushes = zip(robot, pairwise(cells), strict=False)
            steps += [("push", stand, start, end, _direction(start, end), box) for stand, (start, end) in pushes]
        run = []
    return steps


def _direction(start: str, end: str) -> str:
    """The way from one cell to another; "up" where one of them is not a cell."""
    try:
        (row, column), (to_row, to_column) = position(start), position(end)
    except ValueError:
        return "up"
    if abs(to_row - row) >= abs(to_column - column):
        return "up" if to_row < row else "down"
    return "left" if to_column < column else "right"
