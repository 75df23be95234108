"""Random names: nothing of the true ones is left, plans map back, and validity does not change."""

import json
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.tasks import EVENING, LAMPS, generated, made
from iterdeploy.config import ValidationConfig
from iterdeploy.pddl import Domain, Problem, Status, validate_steps
from iterdeploy.planning.domain import Step
from iterdeploy.planning.domains import DOMAINS
from iterdeploy.planning.judge import Judge
from iterdeploy.planning.obfuscate import RESERVED, Disguise, disguise, uncover
from iterdeploy.planning.plans import plan_of
from iterdeploy.planning.prompts import answer
from iterdeploy.planning.rng import Rng
from iterdeploy.types import Completion, Task, Verdict
from iterdeploy.types import Status as Judged

TOKEN = re.compile(r"[^\s()]+")


def covered(steps: list[Step], hidden: Disguise) -> list[Step]:
    names = {true: random for random, true in hidden.true_names.items()}
    return [tuple(names[word] for word in step) for step in steps]


def judged(task: Task, steps: list[Step]) -> Verdict:
    said = Completion(answer([["hm"]], steps), (1,), (2, 0), None, "stop", 2)
    return Judge(ValidationConfig()).judge(task, [said])


def status(domain_text: str, problem_text: str, steps: list[Step]) -> tuple[Status, int | None, Any]:
    domain = Domain.parse(domain_text)
    verdict = validate_steps(domain, Problem.parse(problem_text, domain), steps)
    return verdict.status, verdict.failed_step, verdict.cost


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(sorted(DOMAINS)), st.integers(0, 10**6), st.data())
def test_validity_does_not_change_and_plans_map_back(name: str, seed: int, data: st.DataObject) -> None:
    ours = DOMAINS[name]
    text = ours.generate(ours.smallest + seed % 2, Rng("hidden", name, seed), "p")
    hidden = disguise(ours.pddl, text)
    plan = ours.solve(Problem.parse(text, Domain.parse(ours.pddl)))
    objects = sorted(Problem.parse(text, Domain.parse(ours.pddl)).objects)
    at = data.draw(st.integers(0, len(plan) - 1))
    step = [plan[at][0], *data.draw(st.lists(st.sampled_from(objects), min_size=len(plan[at]) - 1, max_size=7))]
    for steps in (plan, plan[:at] + plan[at + 1 :], [*plan[:at], tuple(step), *plan[at + 1 :]]):
        secret = covered(steps, hidden)
        assert uncover(secret, hidden.true_names) == tuple(steps)
        assert status(hidden.domain, hidden.problem, secret) == status(ours.pddl, text, steps)
    assert status(ours.pddl, text, plan)[0] is Status.VALID


@pytest.mark.parametrize("prompt", ["compact", "full"])
@pytest.mark.parametrize("name", sorted(DOMAINS))
def test_no_true_name_is_left_in_the_prompt(name: str, prompt: str) -> None:
    task = generated(name, DOMAINS[name].smallest, prompt=prompt, obfuscate=True)
    shown = task.prompt
    if prompt == "full":
        shown = shown.partition("Now your task. The domain:")[2].partition("Answer in the form")[0]
        shown = shown.replace("The task:", "")
    domain = Domain.parse(task.payload["domain"])
    problem = Problem.parse(task.payload["problem"], domain)
    symbols = {domain.name, problem.name, *domain.types, *domain.predicates, *domain.actions, *problem.objects}
    left = (symbols - {"object"}) & set(TOKEN.findall(shown.lower()))
    assert not left and ";" not in shown and len(shown) > 50
    variables = set(re.findall(r"\?[\w-]+", DOMAINS[name].pddl))
    assert not variables & set(TOKEN.findall(shown))


def test_every_feature_of_pddl_survives() -> None:
    hidden = disguise(LAMPS, EVENING)
    for steps in ([("switch-on", "red"), ("switch-on", "green")], [("switch-on", "red")], [("switch-on", "hall")]):
        assert status(hidden.domain, hidden.problem, covered(steps, hidden)) == status(LAMPS, EVENING, steps)
    assert (
        status(hidden.domain, hidden.problem, covered([("switch-on", "red"), ("switch-on", "green")], hidden))[2] == 7
    )
    tokens = set(TOKEN.findall(hidden.domain + hidden.problem))
    assert {"total-cost", "forall", "or", "increase", "minimize", ":metric"} <= tokens
    assert not tokens & {"lamps", "evening", "lamp", "lit", "price", "switch-on", "red", "attic", "?l"}


def test_names_that_look_like_numbers_or_pddl_stay() -> None:
    domain = "(define (domain d) (:predicates (at ?x) (next ?x ?y)) (:action go :parameters (?x) :effect (at ?x)))"
    problem = "(define (problem p) (:domain d) (:objects 1 2 number) (:init (next 1 2)) (:goal (at number)))"
    hidden = disguise(domain, problem)
    assert set(hidden.true_names.values()) == {"d", "p", "at", "next", "go"}
    (go,) = (random for random, true in hidden.true_names.items() if true == "go")
    assert status(hidden.domain, hidden.problem, [(go, "number")])[0] is Status.VALID
    assert uncover([(go, "number")], hidden.true_names) == (("go", "number"),)


def test_the_same_task_gets_the_same_names_and_another_task_other_ones() -> None:
    assert disguise(LAMPS, EVENING) == disguise(LAMPS, EVENING)
    other = disguise(LAMPS, EVENING.replace("price red) 3", "price red) 5"))
    assert not set(other.true_names) & set(disguise(LAMPS, EVENING).true_names)
    names = disguise(LAMPS, EVENING).true_names
    assert len(set(names.values())) == len(names) and not set(names) & RESERVED


def test_comments_and_capitals_tell_nothing() -> None:
    hidden = disguise("; a ferry\n" + LAMPS.replace("switch-on", "Switch-On ; by hand\n"), EVENING)
    assert "ferry" not in hidden.domain and "hand" not in hidden.domain and "witch" not in hidden.domain


def test_a_trace_is_judged_from_the_payload_alone() -> None:
    task = made(LAMPS, EVENING, obfuscate=True)
    assert task.payload["domain"] == LAMPS and task.payload["problem"] == EVENING
    names = {true: random for random, true in json.loads(task.payload["true_names"]).items()}
    plan = [("switch-on", "red"), ("switch-on", "green")]
    verdict = judged(task, [tuple(names[word] for word in step) for step in plan])
    assert verdict.status is Judged.VALID and plan_of(verdict) == tuple(plan) and verdict.facts["cost"] == 7
    assert judged(task, plan).status is Judged.INVALID, "the true names are not in the task that the model read"
    assert plan_of(judged(task, [(names["switch-on"], "blue")])) == (("switch-on", "blue"),)
    assert judged(made(LAMPS, EVENING), plan).status is Judged.VALID
