"""The planning domains: generated tasks, scripted planners, and the instances of the IPC 2023 learning track.

The track's files are no part of this project. They are looked for in the folder that ITERDEPLOY_SHARED names, else in
`shared` beside the checkout; without them those tests are skipped.
"""

from dataclasses import astuple
from hashlib import sha256
from importlib import import_module
from itertools import pairwise
from types import ModuleType

import pytest

from helpers.support import shared
from iterdeploy.pddl import Action, Domain, Problem, validate, validate_steps
from iterdeploy.pddl.conditions import conjuncts
from iterdeploy.planning.domain import PlanningDomain
from iterdeploy.planning.domains import (
    blocksworld,
    childsnack,
    ferry,
    floortile,
    miconic,
    rovers,
    satellite,
    sokoban,
    spanner,
    transport,
)
from iterdeploy.planning.domains.common import PolicyFailed, interpolate
from iterdeploy.planning.domains.graph import FAR, Routes, connected
from iterdeploy.planning.rng import Rng

DOMAINS: dict[str, PlanningDomain] = {
    module.DOMAIN.name: module.DOMAIN
    for module in (blocksworld, childsnack, ferry, floortile, miconic, rovers, satellite, sokoban, spanner, transport)
}

SHARED = shared("ipc2023")
needs_track = pytest.mark.skipif(
    not SHARED.is_dir(), reason=f"no {SHARED}: set ITERDEPLOY_SHARED to the folder that holds ipc2023"
)
domains = pytest.mark.parametrize("domain", DOMAINS.values(), ids=list(DOMAINS))

SEEDS = range(3)

GOLD: dict[str, dict[int, str]] = {
    "blocksworld": {4: "42c3c0b7bd349760", 30: "367e45d901631464", 35: "9b45bf047c768207"},
    "childsnack": {3: "90ea8e522849b863", 10: "05e236ca4043a830", 15: "0d1440d908560631"},
    "ferry": {3: "59b1b74044515592", 20: "e71a48f05579bc96", 21: "348a51dbbc12156b"},
    "floortile": {2: "ed57d2354d46d1d9", 5: "105a0bf8b61e9feb", 10: "c4f54c54c85a937f"},
    "miconic": {3: "74b1b657d614cf7a", 10: "62b90394e7d3b165", 20: "6dfeb938ce99ae5d"},
    "rovers": {3: "12e36e38596ef357", 10: "ed2d9dc2d0609313", 15: "9711dde348120990"},
    "satellite": {2: "3c85bf63bb2df300", 10: "8387a957b83d1e1f", 15: "7909cb2fa6b3fbf4"},
    "sokoban": {7: "ad28cc6480351de7", 13: "2fb0716f4dcfee38", 20: "25ab0c352e75faca"},
    "spanner": {3: "914bfa628cd46022", 10: "2485834e22ee9b49", 30: "83f645fb2ecbd8c0"},
    "transport": {3: "726027aa5301de7d", 15: "9ec5d604651fa4c1", 16: "6f39b0311f1068bc"},
}
"""Domain -> size -> the first 16 digits of the SHA-256 of a task's text."""

TRACK: dict[str, dict[int, tuple[int, ...]]] = {
    "childsnack": {10: (10, 6, 3, 15, 3), 40: (40, 25, 5, 60, 3), 300: (300, 150, 10, 450, 3)},
    "ferry": {20: (20, 15), 100: (100, 50), 200: (200, 100), 1000: (1000, 500)},
    "floortile": {3: (3, 1), 5: (5, 3), 10: (10, 4), 22: (22, 15), 25: (25, 15), 37: (37, 35)},
    "miconic": {10: (10, 20), 20: (20, 30), 80: (80, 60), 500: (500, 200)},
    "rovers": {
        4: (4, 1, 1, 1),
        10: (10, 4, 4, 10),
        15: (15, 5, 5, 15),
        90: (90, 10, 50, 80),
        100: (100, 15, 60, 100),
        200: (200, 30, 100, 200),
    },
    "satellite": {3: (3, 3, 1, 4), 10: (10, 20, 3, 10), 40: (40, 80, 5, 30), 100: (100, 200, 10, 100)},
    "sokoban": {8: (8, 1), 13: (13, 4), 20: (20, 5), 50: (50, 35), 60: (60, 40), 100: (100, 80)},
    "spanner": {10: (10, 5, 10), 30: (30, 15, 15), 90: (90, 50, 45), 100: (100, 50, 50), 500: (500, 250, 100)},
    "transport": {15: (15, 6, 15, 2), 45: (45, 20, 40, 4), 200: (200, 50, 100, 10)},
}
"""Domain -> size -> the parameters of the track where its ramps end, and where they begin if nothing overlaps there."""


def text_of(domain: PlanningDomain, size: int, seed: int = 0) -> str:
    return domain.generate(size, Rng("test", domain.name, size, seed), f"{domain.name}-{size}-{seed}")


def check(domain: PlanningDomain, size: int, seed: int) -> None:
    """Generates one task and solves it."""
    task = Domain.parse(domain.pddl)
    problem = Problem.parse(text_of(domain, size, seed), task)
    assert not validate_steps(task, problem, []).valid
    verdict = validate_steps(task, problem, domain.solve(problem))
    assert verdict.valid, f"size {size}, seed {seed}: {verdict.reason}"


def module_of(name: str) -> ModuleType:
    return import_module(f"iterdeploy.planning.domains.{name}")


@domains
@pytest.mark.parametrize("level", ["base", "easy"])
def test_planner_solves_every_small_task(domain: PlanningDomain, level: str) -> None:
    ramp = domain.ramps[level]
    for size in range(ramp.low, ramp.high + 1):
        for seed in SEEDS:
            check(domain, size, seed)


@domains
@pytest.mark.parametrize("level", ["medium", "hard"])
def test_planner_solves_large_tasks(domain: PlanningDomain, level: str) -> None:
    check(domain, domain.ramps[level].low, seed=0)


@domains
def test_sizes_between_and_beyond_the_ramps_work(domain: PlanningDomain) -> None:
    for low, high in [("easy", "medium"), ("medium", "hard")]:
        check(domain, (domain.ramps[low].high + domain.ramps[high].low) // 2, seed=1)


@domains
def test_sizes_below_the_base_cases_are_refused(domain: PlanningDomain) -> None:
    with pytest.raises(ValueError, match=r"smallest size|at least"):
        text_of(domain, domain.ramps["base"].low - 1)


@domains
def test_ramps_rise_and_do_not_overlap(domain: PlanningDomain) -> None:
    assert list(domain.ramps) == ["base", "easy", "medium", "hard"]
    ends = [end for ramp in domain.ramps.values() for end in (ramp.low, ramp.high)]
    assert all(first < second for first, second in pairwise(ends))


@pytest.mark.parametrize("name", TRACK)
def test_parameters_are_those_of_the_track_and_never_fall(name: str) -> None:
    parameters = module_of(name).parameters
    for size, expected in TRACK[name].items():
        assert astuple(parameters(size)) == expected
    ramps = DOMAINS[name].ramps
    rows = [astuple(parameters(size)) for size in range(ramps["base"].low, ramps["hard"].high + 1)]
    for smaller, larger in pairwise(rows):
        assert all(a <= b for a, b in zip(smaller, larger, strict=True)), (smaller, larger)


@domains
def test_same_seed_gives_the_same_text_everywhere(domain: PlanningDomain) -> None:
    digests = {size: sha256(text_of(domain, size).encode()).hexdigest()[:16] for size in GOLD[domain.name]}
    assert digests == GOLD[domain.name]


@domains
def test_seeds_give_different_tasks(domain: PlanningDomain) -> None:
    size = domain.ramps["base"].high
    texts = {domain.generate(size, Rng("variety", seed), "task") for seed in range(100)}
    assert len(texts) > 85


def test_sokoban_maps_differ_where_the_tasks_do() -> None:
    domain = DOMAINS["sokoban"]
    assert domain.compact is not None
    task = Domain.parse(domain.pddl)
    texts = {domain.generate(8, Rng("compact", seed), "task") for seed in range(20)}
    assert len({domain.compact(Problem.parse(text, task)) for text in texts}) == len(texts)


def test_sokoban_map() -> None:
    domain = DOMAINS["sokoban"]
    assert domain.compact is not None
    floor = [(2, 2), (2, 3), (2, 4), (3, 4)]
    ways = {"up": (-1, 0), "down": (1, 0), "left": (0, -1), "right": (0, 1)}
    adjacent = [
        f"(adjacent loc_{row}_{column} loc_{row + down}_{column + right} {way})"
        for row, column in floor
        for way, (down, right) in ways.items()
        if (row + down, column + right) in floor
    ]
    text = f"""
        (define (problem small) (:domain sokoban)
          (:objects {" ".join(f"loc_{row}_{column}" for row, column in floor)} - location box1 - box)
          (:init (at-robot loc_2_2) (at box1 loc_2_3) (clear loc_2_2) (clear loc_2_4) (clear loc_3_4)
                 {" ".join(adjacent)})
          (:goal (at box1 loc_2_4)))"""
    problem = Problem.parse(text, Domain.parse(domain.pddl))
    assert domain.compact(problem).splitlines() == [
        "row loc_2_2 loc_2_3 loc_2_4",
        "row loc_3_4",
        "robot loc_2_2",
        "box box1 loc_2_3 loc_2_4",
    ]
    assert domain.solve(problem) == [("push", "loc_2_2", "loc_2_3", "loc_2_4", "right", "box1")]


def test_sokoban_goal_in_a_dead_end_is_refused_in_words() -> None:
    domain = DOMAINS["sokoban"]
    text = """
        (define (problem stuck) (:domain sokoban)
          (:objects a b c - location box1 - box)
          (:init (at-robot b) (at box1 c) (clear a) (clear b)
                 (adjacent a b right) (adjacent b c right) (adjacent b a left) (adjacent c b left))
          (:goal (at box1 a)))"""
    problem = Problem.parse(text, Domain.parse(domain.pddl))
    with pytest.raises(PolicyFailed, match="no box can be pushed home"):
        domain.solve(problem)


def test_interpolate_goes_on_beyond_the_last_point() -> None:
    assert [interpolate(size, (2, 1), (4, 5), (5, 5), (7, 9)) for size in range(2, 10)] == [1, 3, 5, 5, 7, 9, 11, 13]
    with pytest.raises(ValueError, match="smallest size of this domain is 2, not 1"):
        interpolate(1, (2, 1), (4, 5))


def test_random_graphs_are_connected_and_routes_are_shortest() -> None:
    nodes = [f"n{i}" for i in range(30)]
    for seed in range(20):
        edges = connected(nodes, 10, Rng("graph", seed))
        assert len({frozenset(edge) for edge in edges}) == len(edges)
        graph: dict[str, list[str]] = {}
        for first, second in edges:
            graph.setdefault(first, []).append(second)
            graph.setdefault(second, []).append(first)
        routes = Routes(graph)
        for node in nodes:
            way = routes.way("n0", node)
            assert len(way) == routes.distance("n0", node) == routes.distance(node, "n0") < FAR
            assert all(second in graph[first] for first, second in way)
    assert Routes({}).distance("n0", "n1") == FAR


def meaning(action: Action) -> object:
    """Equal for actions that differ in the names of variables and the order of conditions and effects only."""
    (always,) = action.effects
    types = [parameter.types for parameter in action.parameters]
    return types, set(conjuncts(action.precondition)), set(always.adds), set(always.deletes)


@needs_track
@domains
def test_domain_files_mean_what_those_of_the_track_do(domain: PlanningDomain) -> None:
    ours = Domain.parse(domain.pddl)
    track = Domain.parse((SHARED / "domains" / f"{domain.name}.pddl").read_text(encoding="utf-8"))
    assert {one.name: meaning(one) for one in ours.actions.values()} == {
        one.name: meaning(one) for one in track.actions.values()
    }
    assert {name: [one.types for one in row] for name, row in ours.predicates.items()} == {
        name: [one.types for one in row] for name, row in track.predicates.items()
    }


@needs_track
@domains
def test_reference_plans_of_the_track_are_valid(domain: PlanningDomain) -> None:
    task = Domain.parse(domain.pddl)
    files = sorted((SHARED / "testing-easy" / domain.name).glob("*.pddl"))
    assert len(files) == 30
    for file in files:
        problem = Problem.parse(file.read_text(encoding="utf-8"), task)
        verdict = validate(task, problem, file.with_suffix(".plan").read_text(encoding="utf-8"))
        assert verdict.valid, f"{file.name}: {verdict.reason}"


@needs_track
@domains
def test_planner_solves_the_instances_of_the_track(domain: PlanningDomain) -> None:
    task = Domain.parse(domain.pddl)
    refused: list[str] = []
    for file in sorted((SHARED / "testing-easy" / domain.name).glob("*.pddl")):
        problem = Problem.parse(file.read_text(encoding="utf-8"), task)
        try:
            steps = domain.solve(problem)
        except PolicyFailed:
            refused.append(file.stem)
            continue
        verdict = validate_steps(task, problem, steps)
        assert verdict.valid, f"{file.name}: {verdict.reason}"
    assert refused == (["p30"] if domain.name == "sokoban" else [])
