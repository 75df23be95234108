"""Haulage: a lorry brings crates to their places, with a load limit and a tank that has to last to the next pump.

Tasks: `size` crates of 0.5 to 5 tonnes, each at a random place and to be brought to another one; roads of 1 to 9
kilometres; a pump at every third place, one of them where the lorry starts. The load limit is that of the heaviest
crate and a half more. With R the way from the remotest place to its pump and D the longest road, the tank lasts for
2R + D, which is enough for every task. Ramps: 1 to 3 crates with 3 to 5 places (base), up to 15 with 12 (easy), 60 with
40 (medium), 200 with 100 (hard). A plan's cost is the distance driven.

The scripted planner goes to the nearest place where it can put a crate or pick one that it can carry. Before each road
it makes sure that a pump can be reached from its end, and fills up on the way where not.
"""

import heapq
from collections.abc import Mapping
from fractions import Fraction

from iterdeploy.pddl import Problem
from iterdeploy.pddl.conditions import Number
from iterdeploy.planning.domain import PlanningDomain, SizeRamp, Step
from iterdeploy.planning.domains.common import by_predicate, domain_text, interpolate, names, problem_text
from iterdeploy.planning.domains.graph import both_ways, connected
from iterdeploy.planning.domains.numeric import equation
from iterdeploy.planning.rng import Rng

Roads = Mapping[str, Mapping[str, Number]]
"""Place -> neighbour -> kilometres."""


def generate(size: int, rng: Rng, name: str) -> str:
    count = interpolate(size, (1, 3), (3, 5), (15, 12), (60, 40), (200, 100))
    places = names("p", count, rng, pool=12)
    crates = names("c", size, rng, pool=15)
    pairs = connected(places, count // 3, rng)
    length = {pair: Fraction(rng.between(2, 18), 2) for pair in pairs}
    roads = roads_of({**length, **{(end, start): km for (start, end), km in length.items()}})
    pumps = rng.sample(places, max(1, count // 3))
    weight = {crate: Fraction(rng.between(1, 10), 2) for crate in crates}
    now = {crate: rng.choice(places) for crate in crates}
    then = {crate: rng.choice([place for place in places if place != now[crate]]) for crate in crates}
    from_pumps = [distances(roads, pump) for pump in pumps]
    remotest = max(min(far[place] for far in from_pumps) for place in places)
    tank = 2 * remotest + max(length.values())
    facts: list[Step] = [("lorry-at", pumps[0]), *(("at", crate, now[crate]) for crate in crates)]
    facts += [("pump", place) for place in pumps]
    facts += [("road", *pair) for pair in both_ways(pairs)]
    facts += [equation("distance", start, end, value=roads[start][end]) for start, end in both_ways(pairs)]
    facts += [equation("weight", crate, value=weight[crate]) for crate in crates]
    limit = max(weight.values()) * 3 / 2
    values: dict[str, Number] = {"load": 0, "load-limit": limit, "fuel": tank, "tank": tank, "driven": 0}
    facts += [equation(function, value=value) for function, value in values.items()]
    goal: list[Step] = [("at", crate, then[crate]) for crate in crates]
    return problem_text(name, "haulage", [(places, "place"), (crates, "crate")], facts, goal, minimize="driven")


def roads_of(lengths: Mapping[tuple[str, str], Number]) -> dict[str, dict[str, Number]]:
    roads: dict[str, dict[str, Number]] = {}
    for (start, end), km in lengths.items():
        roads.setdefault(start, {})[end] = km
    return roads


def distances(roads: Roads, start: str) -> dict[str, Number]:
    """Kilometres to all places that can be reached, the nearest first."""
    found: dict[str, Number] = {}
    waiting: list[tuple[Number, str]] = [(0, start)]
    while waiting:
        km, place = heapq.heappop(waiting)
        if place not in found:
            found[place] = km
            for neighbour, further in roads.get(place, {}).items():
                heapq.heappush(waiting, (km + further, neighbour))
    return found


def solve(problem: Problem) -> list[Step]:
    return Lorry(problem).deliver()


class Lorry:
    """Where the lorry is and what it carries, with the steps that it has taken."""

    def __init__(self, problem: Problem) -> None:
        facts = by_predicate(problem.init_list)
        self.values = dict(problem.values)
        lengths = {(start, end): self.values["distance", start, end] for start, end in facts["road"]}
        self.roads = roads_of(lengths)
        self.pumps = [place for (place,) in facts["pump"]]
        self.here = facts["lorry-at"][0][0]
        self.fuel = self.values["fuel",]
        self.goal = by_predicate(problem.goal_atoms()).pairs("at")
        self.waiting = {c: place for c, place in facts["at"] if self.goal.get(c, place) != place}
        self.carried = [crate for (crate,) in facts["loaded"]]
        self.room = self.values["load-limit",] - self.values["load",]
        self.steps: list[Step] = []
        self._far: dict[str, dict[str, Number]] = {}

    def deliver(self) -> list[Step]:
        while self.waiting or self.carried:
            self._serve()
            wanted = {self.goal[crate] for crate in self.carried}
            wanted |= {place for crate, place in self.waiting.items() if self._fits(crate)}
            if wanted:
                self._go(next(place for place in self._from(self.here) if place in wanted))
        return self.steps

    def _serve(self) -> None:
        """Puts and picks what there is to put and pick here."""
        for crate in [crate for crate in self.carried if self.goal[crate] == self.here]:
            self.steps.append(("put", crate, self.here))
            self.carried.remove(crate)
            self.room += self.values["weight", crate]
        for crate in [crate for crate, place in self.waiting.items() if place == self.here]:
            if self._fits(crate):
                self.steps.append(("pick", crate, self.here))
                self.carried.append(crate)
                self.room -= self.values["weight", crate]
                del self.waiting[crate]

    def _fits(self, crate: str) -> bool:
        return self.values["weight", crate] <= self.room

    def _go(self, target: str) -> None:
        """Filling up on the way where it has to be."""
        while self.here != target:
            following = self._next(target)
            if self.fuel < self.roads[self.here][following] + self._to_pump(following):
                self._fill()
            else:
                self._drive(following)

    def _fill(self) -> None:
        pump = min(self.pumps, key=self._from(self.here).__getitem__)
        while self.here != pump:
            self._drive(self._next(pump))
        self.steps.append(("fill", pump))
        self.fuel = self.values["tank",]

    def _next(self, target: str) -> str:
        """The neighbour on a shortest way."""
        left = self._from(target)
        return min(self.roads[self.here], key=lambda place: self.roads[self.here][place] + left[place])

    def _to_pump(self, place: str) -> Number:
        return min(self._from(place)[pump] for pump in self.pumps)

    def _from(self, place: str) -> dict[str, Number]:
        if place not in self._far:
            self._far[place] = distances(self.roads, place)
        return self._far[place]

    def _drive(self, place: str) -> None:
        self.steps.append(("drive", self.here, place))
        self.fuel -= self.roads[self.here][place]
        self.here = place


DOMAIN = PlanningDomain(
    name="haulage",
    pddl=domain_text("haulage"),
    size_unit="crates",
    ramps={
        "base": SizeRamp(1, 3),
        "easy": SizeRamp(4, 15),
        "medium": SizeRamp(16, 60),
        "hard": SizeRamp(61, 200),
    },
    generate=generate,
    solve=solve,
)
