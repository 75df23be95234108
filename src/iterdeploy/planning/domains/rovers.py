"""Rovers: sample soil and rock, take pictures with calibrated cameras, and report all of it to a lander.

Tasks: `size` waypoints on a random connected map; every rover can use about four in five of its ways and is fit for
some of soil, rock and pictures; about half of the waypoints have soil, and half have rock. Wanted is each sample and
each picture (of an objective in a mode) that some rover can get and report, with probability 0.4; a task where that is
nothing at all is drawn again. Ramps: 2 or 3 waypoints and one rover, camera and objective (base); then as the IPC 2023
learning track, 4 to 10 waypoints, 1 to 4 rovers, 1 to 4 cameras and 1 to 10 objectives (easy), 15 to 90, 5 to 10, 5 to
50 and 15 to 80 (medium), 100 to 200, 15 to 30, 60 to 100 and 100 to 200 (hard).

The scripted planner gives every goal to the rover that is nearest to it at the start. Each rover then gathers what it
was given, the nearest next, and only then drives to the nearest place that sees the lander and reports everything. Its
simplification: the order is greedy, and rovers that start far from the lander each make their own way to it.
"""

from dataclasses import dataclass

from iterdeploy.pddl import Problem
from iterdeploy.planning.domain import PlanningDomain, SizeRamp, Step
from iterdeploy.planning.domains import rovers_reasoning
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
from iterdeploy.planning.domains.graph import FAR, both_ways, connected
from iterdeploy.planning.domains.rovers_fleet import FITNESS, MODES, Fleet
from iterdeploy.planning.rng import Rng

LANDER = "general"
USABLE_WAYS = 0.8
WANTED = 0.4
POOLS = {"waypoint": 10, "rover": 4, "camera": 4, "objective": 10}
"""Type -> how many names small tasks draw from."""
MOST_VIEWS = 10
"""Waypoints from which one objective is visible, at most."""


@dataclass(frozen=True)
class Parameters:
    waypoints: int
    rovers: int
    cameras: int
    objectives: int


def parameters(size: int) -> Parameters:
    return Parameters(
        waypoints=size,
        rovers=interpolate(size, (2, 1), (4, 1), (10, 4), (15, 5), (90, 10), (100, 15), (200, 30)),
        cameras=interpolate(size, (2, 1), (4, 1), (10, 4), (15, 5), (90, 50), (100, 60), (200, 100)),
        objectives=interpolate(size, (2, 1), (4, 1), (10, 10), (15, 15), (90, 80), (100, 100), (200, 200)),
    )


def generate(size: int, rng: Rng, name: str) -> str:
    objects, init, goal = _draw(parameters(size), rng)
    return problem_text(name, "rover", objects, init, goal)


def practice(size: int, rng: Rng, name: str) -> str:
    """Facts in any order; how many rovers, cameras and objectives there are does not depend on the waypoints."""
    given = Parameters(size, rng.between(1, 2), rng.between(1, 2), rng.between(1, 3))
    objects, init, goal = _draw(given, rng)
    return problem_text(name, "rover", objects, rng.shuffled(init), rng.shuffled(goal))


def rename(problem: Problem, rng: Rng) -> dict[str, str]:
    """Stores are called after their rovers, whatever their names."""
    new = dict(zip(problem.members["mode"], rng.shuffled(MODES), strict=False))
    for kind, pool in POOLS.items():
        new |= renamed(problem.members[kind], kind, rng, pool)
    new |= {store: f"{new[rover]}store" for store, rover in by_predicate(problem.init_list).pairs("store_of").items()}
    return new | {lander: LANDER for lander in problem.members["lander"][:1]}


Drawn = tuple[list[tuple[list[str], str]], list[Step], list[Step]]
"""Objects with their type, initial facts and goal."""


def _draw(given: Parameters, rng: Rng) -> Drawn:
    counts = (given.waypoints, given.rovers, given.cameras, given.objectives)
    waypoints, rovers, cameras, objectives = [
        names(kind, count, rng, pool) for (kind, pool), count in zip(POOLS.items(), counts, strict=True)
    ]
    for _ in range(ATTEMPTS):
        init = _initial(waypoints, rovers, cameras, objectives, rng)
        possible = Fleet(by_predicate(init)).possible_goals(objectives)
        goal = [atom for atom in possible if rng.chance(WANTED)] or ([rng.choice(possible)] if possible else [])
        if goal:
            break
    else:
        raise AssertionError("no rover could do anything in any of many drawn tasks")
    objects = [
        ([LANDER], "lander"),
        (MODES, "mode"),
        (rovers, "rover"),
        ([f"{rover}store" for rover in rovers], "store"),
        (waypoints, "waypoint"),
        (cameras, "camera"),
        (objectives, "objective"),
    ]
    return objects, init, goal


def _initial(
    waypoints: list[str], rovers: list[str], cameras: list[str], objectives: list[str], rng: Rng
) -> list[Step]:
    init: list[Step] = [("at_lander", LANDER, rng.choice(waypoints))]
    init += [("at", rover, rng.choice(waypoints)) for rover in rovers]
    imaging: list[str] = []
    for fitness in FITNESS:
        imaging = [rover for rover in rovers if rng.chance(0.5)] or [rng.choice(rovers)]
        init += [(fitness, rover) for rover in imaging]
    for rover in rovers:
        init += [("store_of", f"{rover}store", rover), ("empty", f"{rover}store")]
    for sample in ("at_soil_sample", "at_rock_sample"):
        init += [(sample, waypoint) for waypoint in waypoints if rng.chance(0.5)]
    ways = connected(waypoints, len(waypoints) // 2, rng)
    init += [("visible", *way) for way in both_ways(ways)]
    for rover in rovers:
        init += [("can_traverse", rover, *way) for way in both_ways([way for way in ways if rng.chance(USABLE_WAYS)])]
    for camera in cameras:
        init += [("on_board", camera, rng.choice(imaging)), ("calibration_target", camera, rng.choice(objectives))]
        init += [("supports", camera, mode) for mode in sorted(rng.sample(MODES, rng.between(1, len(MODES))))]
    for objective in objectives:
        views = rng.sample(waypoints, rng.between(1, min(len(waypoints), MOST_VIEWS)))
        init += [("visible_from", objective, waypoint) for waypoint in waypoints if waypoint in views]
    return init


def solve(problem: Problem) -> list[Step]:
    fleet = Fleet(by_predicate(problem.init_list))
    given: dict[str, list[Step]] = {rover: [] for rover in fleet.place}
    for goal in problem.goal_atoms():
        if goal not in problem.init:
            rover = min(given, key=lambda rover: fleet.errand(rover, goal).steps)
            if fleet.errand(rover, goal).steps == FAR:
                raise PolicyFailed(f"no rover alone can bring about ({' '.join(goal)})")
            given[rover].append(goal)
    steps: list[Step] = []
    for rover, goals in given.items():
        todo = list(goals)
        while todo:
            errands = {goal: fleet.errand(rover, goal) for goal in todo}
            goal = min(todo, key=lambda goal: errands[goal].steps)
            steps += fleet.carry_out(rover, errands[goal])
            todo.remove(goal)
        if goals:
            here = fleet.routes[rover].nearest(fleet.place[rover], fleet.posts[rover])
            steps += fleet.drive(rover, here)
            for report, *what in goals:
                action = report.replace("communicated", "communicate")
                steps.append((action, rover, fleet.lander, *what, here, fleet.landing))
    return steps


DOMAIN = PlanningDomain(
    name="rovers",
    pddl=domain_text("rovers"),
    size_unit="waypoints",
    ramps={
        "base": SizeRamp(2, 3),
        "easy": SizeRamp(4, 10),
        "medium": SizeRamp(15, 90),
        "hard": SizeRamp(100, 200),
    },
    generate=generate,
    solve=solve,
    practice=practice,
    rename=rename,
    think=rovers_reasoning.think,
    act=rovers_reasoning.act,
    marks=rovers_reasoning.MARKS,
    names=[*rovers_reasoning.INNER, *rovers_reasoning.NAMES],
    compact=rovers_reasoning.compact,
)
