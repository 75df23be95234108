"""Spanner: a man walks from the shed to the gate, never back, and needs a fresh spanner for every nut at the gate.

Tasks: `size` spanners at random places on the way; at least as many spanners as nuts. Ramps: 1 to 3 spanners, one nut
and 1 to 4 locations between shed and gate (base); then as the IPC 2023 learning track, up to 10 spanners, 5 nuts and
10 locations (easy), 30 to 90, 15 to 50 and 15 to 45 (medium), 100 to 500, 50 to 250 and 50 to 100 (hard). The track's
easy ramp begins at 1 spanner, where the base cases are.

The scripted planner walks on, picking up spanners where it passes them until it has one for each nut, and tightens
nuts where it meets them. Its plans are shortest ones. Its simplification: the way must not fork.
"""

from dataclasses import dataclass
from itertools import pairwise

from iterdeploy.pddl import Problem
from iterdeploy.planning.domain import PlanningDomain, SizeRamp, Step
from iterdeploy.planning.domains.common import PolicyFailed, by_predicate, domain_text, interpolate, names, problem_text
from iterdeploy.planning.rng import Rng


@dataclass(frozen=True)
class Parameters:
    spanners: int
    nuts: int
    locations: int
    """Between the shed and the gate."""


def parameters(size: int) -> Parameters:
    return Parameters(
        spanners=size,
        nuts=interpolate(size, (1, 1), (4, 2), (10, 5), (30, 15), (90, 50), (100, 50), (500, 250)),
        locations=interpolate(size, (1, 1), (4, 6), (10, 10), (30, 15), (90, 45), (100, 50), (500, 100)),
    )


def generate(size: int, rng: Rng, name: str) -> str:
    given = parameters(size)
    spanners = names("spanner", given.spanners, rng, pool=10)
    nuts = names("nut", given.nuts, rng, pool=5)
    between = names("location", given.locations, rng, pool=10)
    way = ["shed", *between, "gate"]
    init: list[Step] = [("at", "bob", "shed")]
    for spanner in spanners:
        init += [("at", spanner, rng.choice(between)), ("usable", spanner)]
    for nut in nuts:
        init += [("at", nut, "gate"), ("loose", nut)]
    init += [("link", start, end) for start, end in pairwise(way)]
    return problem_text(
        name,
        "spanner",
        [(["bob"], "man"), (spanners, "spanner"), (nuts, "nut"), (way, "location")],
        init,
        [("tightened", nut) for nut in nuts],
    )


def solve(problem: Problem) -> list[Step]:
    facts = by_predicate(problem.init_list)
    place_of = facts.pairs("at")
    following = facts.pairs("link")
    usable = {spanner for (spanner,) in facts["usable"]}
    man = problem.members["man"][0]
    here = place_of[man]
    todo = [nut for (nut,) in by_predicate(problem.goal_atoms())["tightened"] if ("loose", nut) in problem.init]
    spare = [spanner for owner, spanner in facts["carrying"] if owner == man and spanner in usable]
    steps: list[Step] = []
    while todo:
        for spanner in [thing for thing, place in place_of.items() if place == here and thing in usable]:
            if len(spare) < len(todo):
                steps.append(("pickup_spanner", here, spanner, man))
                spare.append(spanner)
        for nut in [nut for nut in todo if place_of[nut] == here and spare]:
            steps.append(("tighten_nut", here, spare.pop(), man, nut))
            todo.remove(nut)
        if todo:
            if here not in following:
                raise PolicyFailed(f"{here} is the end of the way and {todo[0]} is still loose")
            steps.append(("walk", here, following[here], man))
            here = following[here]
    return steps


DOMAIN = PlanningDomain(
    name="spanner",
    pddl=domain_text("spanner"),
    size_unit="spanners",
    ramps={
        "base": SizeRamp(1, 3),
        "easy": SizeRamp(4, 10),
        "medium": SizeRamp(30, 90),
        "hard": SizeRamp(100, 500),
    },
    generate=generate,
    solve=solve,
)
