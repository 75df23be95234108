"""Miconic: a lift that takes passengers from floor to floor.

Tasks: `size` passengers, each waiting on a random floor for another one; the lift starts anywhere. Ramps: 1 to 3
passengers with 2 to 5 floors (base); then as the IPC 2023 learning track, up to 10 passengers and 20 floors (easy), 80
and 60 (medium), 500 and 200 (hard). The track's easy ramp begins at 1 passenger and its hard ramp at 50, inside the
ramps below them; here each ramp goes on from the end of the one below.

One action takes the lift to any floor, and it holds any number of passengers. The scripted planner therefore takes
everybody in before it visits floors only to let people out, and lets out on the way whom it can: next comes the
waiting floor to which the fewest of those still waiting want to go. Its simplification: few floors are visited twice
for nothing, but some are.
"""

from collections import Counter
from dataclasses import dataclass

from iterdeploy.pddl import Problem
from iterdeploy.planning.domain import PlanningDomain, SizeRamp, Step
from iterdeploy.planning.domains.common import by_predicate, domain_text, interpolate, names, problem_text
from iterdeploy.planning.rng import Rng


@dataclass(frozen=True)
class Parameters:
    passengers: int
    floors: int


def parameters(size: int) -> Parameters:
    return Parameters(
        passengers=size,
        floors=interpolate(size, (1, 2), (4, 7), (10, 20), (20, 30), (80, 60), (500, 200)),
    )


def generate(size: int, rng: Rng, name: str) -> str:
    given = parameters(size)
    people = names("p", given.passengers, rng, pool=10)
    floors = names("f", given.floors, rng, pool=20)
    lift = rng.choice(floors)
    trips: list[Step] = []
    for person in people:
        origin, destination = rng.sample(floors, 2)
        trips += [("origin", person, origin), ("destin", person, destination)]
    above = [("above", low, high) for i, low in enumerate(floors) for high in floors[i + 1 :]]
    return problem_text(
        name,
        "miconic",
        [(people, "passenger"), (floors, "floor")],
        [("lift-at", lift), *trips, *above],
        [("served", person) for person in people],
    )


def solve(problem: Problem) -> list[Step]:
    facts = by_predicate(problem.init_list)
    here = facts["lift-at"][0][0]
    destination = facts.pairs("destin")
    wanted = [person for _, person in problem.goal_atoms() if ("served", person) not in problem.init]
    origin = facts.pairs("origin")
    waiting: dict[str, list[str]] = {}
    inside: dict[str, list[str]] = {}
    for person in wanted:
        if person in origin:
            waiting.setdefault(origin[person], []).append(person)
        else:
            inside.setdefault(destination[person], []).append(person)
    still_bound_for = Counter(destination[person] for people in waiting.values() for person in people)
    steps: list[Step] = []
    while waiting or inside:
        if here not in waiting and here not in inside:
            there = min(waiting, key=lambda floor: still_bound_for[floor]) if waiting else next(iter(inside))
            steps.append(("up" if ("above", here, there) in problem.init else "down", here, there))
            here = there
        steps += [("depart", here, person) for person in inside.pop(here, [])]
        for person in waiting.pop(here, []):
            steps.append(("board", here, person))
            inside.setdefault(destination[person], []).append(person)
            still_bound_for[destination[person]] -= 1
    return steps


DOMAIN = PlanningDomain(
    name="miconic",
    pddl=domain_text("miconic"),
    size_unit="passengers",
    ramps={
        "base": SizeRamp(1, 3),
        "easy": SizeRamp(4, 10),
        "medium": SizeRamp(20, 80),
        "hard": SizeRamp(81, 500),
    },
    generate=generate,
    solve=solve,
)
