"""Transport: vehicles of limited capacity bring packages along roads.

Tasks: `size` packages, each at a random place and to be brought to another one; vehicles anywhere, with room for 1 up
to the largest capacity; a random connected map of roads, anything between a chain and a bush with some more roads.
Ramps: 1 to 3 packages, 1 or 2 vehicles, 2 to 5 locations (base); then as the IPC 2023 learning track, up to 15
packages, 3 to 6 vehicles, 15 locations and capacity 2 (easy), 45, 20, 40 and 4 (medium), 200, 50, 100 and 10 (hard).
The track's easy ramp begins at 1 package, its medium ramp at 5 and its hard one at 20, inside the ramps below them;
here each goes on from the end of the one below.

The scripted planner sends the vehicle that is nearest to a waiting package (of several, the roomiest). On its tour a
vehicle unloads and loads all it can wherever it is, then drives to whatever is nearest: a destination of its load, or,
with room left, another waiting package. When it is empty the choice is made anew. Its simplification: it never thinks
ahead of the next stop.
"""

from dataclasses import dataclass
from itertools import pairwise

from iterdeploy.pddl import Problem
from iterdeploy.planning.domain import PlanningDomain, SizeRamp, Step
from iterdeploy.planning.domains.common import PolicyFailed, by_predicate, domain_text, interpolate, names, problem_text
from iterdeploy.planning.domains.graph import FAR, Routes, both_ways, connected
from iterdeploy.planning.rng import Rng


@dataclass(frozen=True)
class Parameters:
    packages: int
    vehicles: int
    locations: int
    capacity: int
    """The largest; each vehicle draws its own."""


def parameters(size: int) -> Parameters:
    return Parameters(
        packages=size,
        vehicles=interpolate(size, (1, 1), (4, 3), (15, 6), (45, 20), (200, 50)),
        locations=interpolate(size, (1, 2), (4, 7), (15, 15), (45, 40), (200, 100)),
        capacity=interpolate(size, (1, 2), (15, 2), (45, 4), (200, 10)),
    )


def generate(size: int, rng: Rng, name: str) -> str:
    given = parameters(size)
    vehicles = names("v", given.vehicles, rng, pool=6)
    packages = names("p", given.packages, rng, pool=15)
    places = names("l", given.locations, rng, pool=15)
    sizes = [f"c{i}" for i in range(given.capacity + 1)]
    roads = connected(places, rng.between(0, given.locations), rng)
    trips = {package: rng.sample(places, 2) for package in packages}
    return problem_text(
        name,
        "transport",
        [(vehicles, "vehicle"), (packages, "package"), (places, "location"), (sizes, "size")],
        [
            *(("capacity", vehicle, rng.choice(sizes[1:])) for vehicle in vehicles),
            *(("capacity-predecessor", less, more) for less, more in pairwise(sizes)),
            *(("at", package, trips[package][0]) for package in packages),
            *(("at", vehicle, rng.choice(places)) for vehicle in vehicles),
            *(("road", *pair) for pair in both_ways(roads)),
        ],
        [("at", package, trips[package][1]) for package in packages],
    )


def solve(problem: Problem) -> list[Step]:
    return _Depot(problem).steps()


class _Depot:
    """Where everything is while the plan is made."""

    def __init__(self, problem: Problem) -> None:
        facts = by_predicate(problem.init_list)
        self.routes = Routes(facts.lists("road"))
        place = facts.pairs("at")
        self.goal = by_predicate(problem.goal_atoms()).pairs("at")
        self.vehicles = {vehicle: place[vehicle] for vehicle in problem.members["vehicle"]}
        self.waiting: dict[str, list[str]] = {}
        for package, end in self.goal.items():
            if place[package] != end:
                self.waiting.setdefault(place[package], []).append(package)
        self.room = facts.pairs("capacity")
        self.less = {more: less for less, more in facts["capacity-predecessor"]}
        self.more = facts.pairs("capacity-predecessor")

    def steps(self) -> list[Step]:
        steps: list[Step] = []
        while self.waiting:
            steps += self._tour(self._nearest_vehicle())
        return steps

    def _nearest_vehicle(self) -> str:
        able = [vehicle for vehicle in self.vehicles if self.room[vehicle] in self.less]
        if not able:
            raise PolicyFailed("no vehicle has room for a package")
        return min(able, key=lambda vehicle: (self._way_to_package(vehicle), -self._room_left(vehicle)))

    def _way_to_package(self, vehicle: str) -> int:
        return min(self.routes.distance(self.vehicles[vehicle], place) for place in self.waiting)

    def _room_left(self, vehicle: str) -> int:
        room, size = 0, self.room[vehicle]
        while size in self.less:
            room, size = room + 1, self.less[size]
        return room

    def _tour(self, vehicle: str) -> list[Step]:
        """Drives to the nearest package and on until the vehicle is empty again."""
        steps: list[Step] = []
        load: list[str] = []
        here = self.vehicles[vehicle]
        while True:
            for package in [package for package in load if self.goal[package] == here]:
                less, more = self.room[vehicle], self.more[self.room[vehicle]]
                steps.append(("drop", vehicle, here, package, less, more))
                self.room[vehicle] = more
                load.remove(package)
            while here in self.waiting and self.room[vehicle] in self.less:
                package = self.waiting[here].pop(0)
                less, more = self.less[self.room[vehicle]], self.room[vehicle]
                steps.append(("pick-up", vehicle, here, package, less, more))
                self.room[vehicle] = less
                load.append(package)
                if not self.waiting[here]:
                    del self.waiting[here]
            if steps and not load:
                self.vehicles[vehicle] = here
                return steps
            stops = [self.goal[package] for package in load]
            if self.room[vehicle] in self.less:
                stops += self.waiting
            stop = self.routes.nearest(here, stops)
            if self.routes.distance(here, stop) == FAR:
                raise PolicyFailed(f"there is no way from {here} to {stop}")
            steps += [("drive", vehicle, *road) for road in self.routes.way(here, stop)]
            here = stop


DOMAIN = PlanningDomain(
    name="transport",
    pddl=domain_text("transport"),
    size_unit="packages",
    ramps={
        "base": SizeRamp(1, 3),
        "easy": SizeRamp(4, 15),
        "medium": SizeRamp(16, 45),
        "hard": SizeRamp(46, 200),
    },
    generate=generate,
    solve=solve,
)
