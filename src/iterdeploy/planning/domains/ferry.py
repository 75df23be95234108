"""Ferry: cars to be brought to other places by a ferry that carries one car at a time.

Tasks: `size` cars, each at a random place and to be brought to another one; the ferry starts anywhere, empty. Ramps:
1 to 3 cars with 2 to 5 locations (base); then as the IPC 2023 learning track, up to 20 cars and 15 locations (easy),
100 and 50 (medium), 1000 and 500 (hard). The track's easy ramp begins at 1 car and its medium ramp at 10, inside the
ramps below them; here each ramp goes on from the end of the one below.

The scripted planner takes the cars one by one: where the ferry is, it takes a car whose destination has a car to be
fetched, else any; with no car here it sails to where a car waits, first to places to which nothing is to be brought.
That is about the least number of empty trips, though not always quite.
"""

from collections import Counter
from dataclasses import dataclass

from iterdeploy.pddl import Problem
from iterdeploy.planning.domain import PlanningDomain, SizeRamp, Step
from iterdeploy.planning.domains.common import by_predicate, domain_text, interpolate, names, problem_text
from iterdeploy.planning.rng import Rng


@dataclass(frozen=True)
class Parameters:
    cars: int
    locations: int


def parameters(size: int) -> Parameters:
    return Parameters(
        cars=size,
        locations=interpolate(size, (1, 2), (4, 6), (20, 15), (100, 50), (200, 100), (1000, 500)),
    )


def generate(size: int, rng: Rng, name: str) -> str:
    given = parameters(size)
    cars = names("car", given.cars, rng, pool=20)
    places = names("loc", given.locations, rng, pool=15)
    now = {car: rng.choice(places) for car in cars}
    then = {car: rng.choice([place for place in places if place != now[car]]) for car in cars}
    return problem_text(
        name,
        "ferry",
        [(cars, "car"), (places, "location")],
        [("empty-ferry",), ("at-ferry", rng.choice(places)), *(("at", car, now[car]) for car in cars)],
        [("at", car, then[car]) for car in cars],
    )


def solve(problem: Problem) -> list[Step]:
    facts = by_predicate(problem.init_list)
    here = facts["at-ferry"][0][0]
    goal = by_predicate(problem.goal_atoms()).pairs("at")
    waiting: dict[str, list[str]] = {}
    for car, place in facts["at"]:
        if goal.get(car, place) != place:
            waiting.setdefault(place, []).append(car)
    arrivals = Counter(goal[car] for cars in waiting.values() for car in cars)
    steps: list[Step] = []
    while waiting:
        if here not in waiting:
            there = min(waiting, key=lambda place: arrivals[place])
            steps.append(("sail", here, there))
            here = there
        cars = waiting[here]
        car = next((car for car in cars if goal[car] in waiting), cars[0])
        cars.remove(car)
        if not cars:
            del waiting[here]
        arrivals[goal[car]] -= 1
        steps += [("board", car, here), ("sail", here, goal[car]), ("debark", car, goal[car])]
        here = goal[car]
    return steps


DOMAIN = PlanningDomain(
    name="ferry",
    pddl=domain_text("ferry"),
    size_unit="cars",
    ramps={
        "base": SizeRamp(1, 3),
        "easy": SizeRamp(4, 20),
        "medium": SizeRamp(21, 100),
        "hard": SizeRamp(200, 1000),
    },
    generate=generate,
    solve=solve,
)
