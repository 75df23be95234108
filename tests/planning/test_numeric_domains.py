"""The domains with numbers: generated tasks, scripted planners, prompts, and what the task sets make of them."""

from hashlib import sha256
from itertools import pairwise

import pytest

from helpers.support import config_with
from iterdeploy.pddl import Domain, Problem, validate_steps
from iterdeploy.planning.domains import DOMAINS
from iterdeploy.planning.domains.common import PolicyFailed
from iterdeploy.planning.mapping import match
from iterdeploy.planning.prompts import answer
from iterdeploy.planning.rng import Rng
from iterdeploy.sections import ConfigError
from iterdeploy.tasks import task_set
from iterdeploy.types import Completion, Status

NUMERIC = {name: domain for name, domain in DOMAINS.items() if domain.numeric}
domains = pytest.mark.parametrize("name", sorted(NUMERIC))

GOLD: dict[str, dict[int, str]] = {
    "haulage": {3: "bee769819ae3edb9", 12: "93b5a64dc5264a4b", 16: "07bc5359714a32bc"},
    "tanks": {3: "eee9a5ae3d045904", 12: "d0ad4dcdc30b8f4f", 16: "863fa93faaf39b37"},
}
"""Domain -> size -> the first 16 digits of the SHA-256 of a task's text."""


def text_of(name: str, size: int, seed: int = 0) -> str:
    return NUMERIC[name].generate(size, Rng("test", name, size, seed), f"{name}-{size}-{seed}")


@domains
def test_the_planner_solves_every_size(name: str) -> None:
    domain = NUMERIC[name]
    task = Domain.parse(domain.pddl)
    ends = [size for ramp in domain.ramps.values() for size in (ramp.low, ramp.high)]
    assert all(first < second for first, second in pairwise(ends))
    for size in [*range(domain.smallest, 13), domain.ramps["medium"].low, domain.ramps["hard"].low]:
        for seed in range(3):
            problem = Problem.parse(text_of(name, size, seed), task)
            assert not validate_steps(task, problem, []).valid
            verdict = validate_steps(task, problem, domain.solve(problem))
            assert verdict.valid, f"size {size}, seed {seed}: {verdict.reason}"
    with pytest.raises(ValueError, match="smallest size"):
        text_of(name, domain.smallest - 1)


@domains
def test_same_seed_gives_the_same_text_everywhere(name: str) -> None:
    assert {size: sha256(text_of(name, size).encode()).hexdigest()[:16] for size in GOLD[name]} == GOLD[name]


def test_a_lorry_that_never_fills_up_runs_dry() -> None:
    """The tank matters: without its `fill` steps some plan fails for want of fuel."""
    domain = NUMERIC["haulage"]
    task = Domain.parse(domain.pddl)
    reasons = []
    for seed in range(6):
        problem = Problem.parse(text_of("haulage", 6, seed), task)
        steps = [step for step in domain.solve(problem) if step[0] != "fill"]
        reasons.append(validate_steps(task, problem, steps).reason)
    assert any("(>= (fuel) (distance" in reason for reason in reasons)


def test_the_cost_of_a_haul_is_the_distance() -> None:
    domain = NUMERIC["haulage"]
    task = Domain.parse(domain.pddl)
    problem = Problem.parse(text_of("haulage", 4), task)
    steps = domain.solve(problem)
    driven = sum(problem.values["distance", *step[1:]] for step in steps if step[0] == "drive")
    assert validate_steps(task, problem, steps).cost == float(driven)


def test_a_reasoning_about_tanks_says_its_plan() -> None:
    domain = NUMERIC["tanks"]
    assert domain.think is not None and domain.act is not None
    task = Domain.parse(domain.pddl)
    seen = set()
    for seed in range(10):
        problem = Problem.parse(text_of("tanks", 4), task)
        reasoning = domain.think(problem, Rng("think", seed))
        seen.add(str(reasoning))
        assert validate_steps(task, problem, domain.act(reasoning)).valid
        known = {"pour", *domain.names}
        assert {word for line in reasoning for word in line} <= known
    assert len(seen) > 1


def test_a_goal_of_another_kind_is_refused() -> None:
    domain = NUMERIC["tanks"]
    text = text_of("tanks", 3)
    other = text[: text.index("(:goal")] + "(:goal (exists (?t - tank) (> (level ?t) 1))))"
    with pytest.raises(PolicyFailed):
        domain.solve(Problem.parse(other, Domain.parse(domain.pddl)))


@domains
def test_tasks_show_the_numbers_and_are_judged(name: str) -> None:
    tasks = task_set(config_with({"tasks.domains": [name], "tasks.sizes": "2-3"}))
    for task in tasks.deployed(0)[:3]:
        problem = Problem.parse(task.payload["problem"], Domain.parse(task.payload["domain"]))
        function = "(= (measure) " if name == "tanks" else "(= (tank) "
        assert function in task.prompt and "goal\n" in task.prompt
        steps = NUMERIC[name].solve(problem)
        with tasks.judges() as judges:
            (verdict,) = judges.replies([(task, [Completion(answer([["hm"]], steps), (1,), (2,), None, "stop", 1)])])
        assert verdict.status is Status.VALID and verdict.facts["cost_ratio"] == 1


@domains
def test_domains_with_numbers_are_not_looked_for_among_those_without(name: str) -> None:
    with pytest.raises(ConfigError, match="is none of"):
        match(Domain.parse(NUMERIC[name].pddl), {})
