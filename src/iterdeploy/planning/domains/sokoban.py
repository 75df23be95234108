"""Sokoban: a robot pushes boxes, each to its own goal, through a walled grid.

Tasks: a grid of side `size`, its outer walls included, with random pieces of wall inside and one connected floor.
Ramps: side 5 to 7 and one box (base); then as the IPC 2023 learning track, side 8 to 13 with 1 to 4 boxes (easy), 20
to 50 with 5 to 35 (medium), 60 to 100 with 40 to 80 (hard).

Every task can be solved one box after the other, because it is made that way: boxes and robot are put somewhere, then
the generator lets the planner's own search push box 1, box 2, ... while the others stand still, and makes one of the
cells that the box can reach, rather a far one, its goal. No box stands where it would cut the floor in two, so the
robot always gets everywhere.

The scripted planner does the same with the goals known: it brings the boxes home one by one, in their order and each
with the fewest possible steps (see `sokoban_grid`), trying the next box where one cannot get home yet. Its
simplification: no box ever makes room for another, so it does not solve every Sokoban task there is.
"""

from dataclasses import dataclass
from itertools import islice

from iterdeploy.pddl import Problem
from iterdeploy.planning.domain import PlanningDomain, Reasoning, SizeRamp, Step
from iterdeploy.planning.domains import sokoban_reasoning
from iterdeploy.planning.domains.common import (
    ATTEMPTS,
    PolicyFailed,
    by_predicate,
    domain_text,
    interpolate,
    names,
    problem_text,
    renamed,
)
from iterdeploy.planning.domains.sokoban_grid import (
    Grid,
    Pushed,
    cell_names,
    cuts,
    pushes,
    random_floor,
    read_grid,
    ring,
)
from iterdeploy.planning.rng import Rng

PRACTICE_BOXES = {5: (1,), 6: (1, 1, 2), 7: (1, 1, 2, 2, 3)}
"""Side of a practice room, or more -> numbers of boxes, each as often as it stands there."""
SEARCHED = 150
"""Positions of box and robot among which a box's goal is chosen."""


@dataclass(frozen=True)
class Parameters:
    side: int
    boxes: int


def parameters(size: int) -> Parameters:
    return Parameters(
        side=size,
        boxes=interpolate(size, (5, 1), (8, 1), (13, 4), (20, 5), (50, 35), (60, 40), (100, 80)),
    )


def generate(size: int, rng: Rng, name: str) -> str:
    return _task(parameters(size), (0, 0), rng, name)


def practice(size: int, rng: Rng, name: str) -> str:
    """A room anywhere among `POOL` rows and columns, so that a model meets every cell; often with more boxes."""
    free = max(0, sokoban_reasoning.POOL - size) + 1
    corner = (rng.below(free), rng.below(free))
    boxes = rng.choice(PRACTICE_BOXES[min(size, max(PRACTICE_BOXES))])
    return _task(Parameters(size, boxes), corner, rng, name)


def _task(given: Parameters, corner: tuple[int, int], rng: Rng, name: str) -> str:
    boxes = names("box", given.boxes, rng, pool=sokoban_reasoning.BOXES)
    for _ in range(ATTEMPTS):
        grid = random_floor(given.side, corner, rng)
        starts = _starts(grid, given.boxes, rng)
        free = [cell for cell in grid if cell not in starts]
        if len(starts) < given.boxes or not free:
            continue
        robot = rng.choice(free)
        goals = _goals(grid, robot, starts, rng)
        if len(goals) == given.boxes:
            break
    else:
        raise AssertionError("no box could be pushed in any of many drawn grids")
    return problem_text(
        name,
        "sokoban",
        [(list(grid), "location"), (boxes, "box")],
        [
            ("at-robot", robot),
            *(("at", box, start) for box, start in zip(boxes, starts, strict=True)),
            *(("clear", cell) for cell in free),
            *(("adjacent", cell, there, way) for cell, ways in grid.items() for way, there in ways.items()),
        ],
        [("at", box, goal) for box, goal in zip(boxes, goals, strict=True)],
    )


def _starts(grid: Grid, count: int, rng: Rng) -> list[str]:
    """Cells, none next to another, from which a box can be pushed; fewer than asked for where there are not so many."""
    starts: dict[str, None] = {}
    for cell in rng.shuffled(list(grid)):
        if len(starts) == count:
            break
        ways = grid[cell]
        pushable = ("up" in ways and "down" in ways) or ("left" in ways and "right" in ways)
        if pushable and not any(other in starts for other in ring(cell)) and not cuts(grid, cell, starts):
            starts[cell] = None
    return list(starts)


def _goals(grid: Grid, robot: str, starts: list[str], rng: Rng) -> list[str]:
    """A goal for every box in order; fewer where some box has none."""
    boxes = dict.fromkeys(starts)
    goals: list[str] = []
    for i, start in enumerate(starts):
        del boxes[start]
        waiting = starts[i + 1 :]
        reached: dict[str, Pushed] = {}
        for pushed in islice(pushes(grid, robot, "", start, boxes), SEARCHED):
            reached.setdefault(pushed.box, pushed)
        fit = [cell for cell in reached if cell != start and not cuts(grid, cell, boxes)]
        fit = [cell for cell in fit if not any(there in waiting for there in grid[cell].values())]
        if not fit:
            break
        goal = rng.choice(fit[len(fit) // 2 :])
        robot = reached[goal].robot
        boxes[goal] = None
        goals.append(goal)
    return goals


def rename(problem: Problem, rng: Rng) -> dict[str, str]:
    """Cells by where they lie, the room anywhere among `POOL` rows and columns; boxes at random."""
    facts = by_predicate(problem.init_list)
    boxes = renamed(problem.members["box"], "box", rng, sokoban_reasoning.BOXES)
    robot = facts["at-robot"][0][0]
    return boxes | cell_names(problem.members["location"], read_grid(facts), robot, rng, sokoban_reasoning.POOL)


def solve(problem: Problem) -> list[Step]:
    boxes = by_predicate(problem.goal_atoms()).pairs("at")
    return _pushed_home(problem, read_grid(by_predicate(problem.init_list)), list(boxes))


def think(problem: Problem, rng: Rng) -> Reasoning:
    """The boxes in any order and by any of the shortest ways, or as `solve` does where that leads nowhere."""
    facts = by_predicate(problem.init_list)
    grid = {cell: dict(rng.shuffled(list(ways.items()))) for cell, ways in read_grid(facts).items()}
    try:
        steps = _pushed_home(problem, grid, rng.shuffled(list(facts.pairs("at"))))
    except PolicyFailed:
        steps = solve(problem)
    return sokoban_reasoning.reasoning(steps)


def _pushed_home(problem: Problem, grid: Grid, order: list[str]) -> list[Step]:
    """One box after the other with the fewest steps, each time the first of the order that can get home."""
    facts = by_predicate(problem.init_list)
    robot = facts["at-robot"][0][0]
    boxes = facts.pairs("at")
    goals = by_predicate(problem.goal_atoms()).pairs("at")
    todo = [box for box in order if box in goals and boxes[box] != goals[box]]
    steps: list[Step] = []
    while todo:
        for box in todo:
            others = dict.fromkeys(cell for other, cell in boxes.items() if other != box)
            arrival = next((at for at in pushes(grid, robot, box, boxes[box], others) if at.box == goals[box]), None)
            if arrival is not None:
                break
        else:
            raise PolicyFailed(f"no box can be pushed home while the others stand still: {', '.join(todo)}")
        steps += arrival.plan()
        robot, boxes[box] = arrival.robot, goals[box]
        todo.remove(box)
    return steps


DOMAIN = PlanningDomain(
    name="sokoban",
    pddl=domain_text("sokoban"),
    size_unit="cells to a side",
    ramps={
        "base": SizeRamp(5, 7),
        "easy": SizeRamp(8, 13),
        "medium": SizeRamp(20, 50),
        "hard": SizeRamp(60, 100),
    },
    generate=generate,
    solve=solve,
    think=think,
    act=sokoban_reasoning.act,
    practice=practice,
    rename=rename,
    marks=sokoban_reasoning.MARKS,
    names=[*sokoban_reasoning.INNER, *sokoban_reasoning.NAMES],
    compact=sokoban_reasoning.compact,
)
