"""Demonstrations of every domain that has them: the reasoning says a valid plan, and their words are tokens."""

import pytest

from iterdeploy.pddl import Domain, Problem, Status, validate_steps
from iterdeploy.planning import prompts
from iterdeploy.planning.domain import PlanningDomain
from iterdeploy.planning.domains import DOMAINS
from iterdeploy.planning.domains.blocksworld_reasoning import direct
from iterdeploy.planning.rng import Rng
from iterdeploy.pretraining.demonstrations import Mixture, demonstrate
from iterdeploy.pretraining.sources import vocabulary
from iterdeploy.pretraining.tokenizer import build_tokenizer

SIZES = {"blocksworld": range(2, 12), "rovers": range(2, 9), "sokoban": range(5, 12), "tanks": range(2, 9)}
domains = pytest.mark.parametrize("domain", [DOMAINS[name] for name in SIZES], ids=list(SIZES))


def tasks(domain: PlanningDomain, count: int) -> list[tuple[Domain, Problem]]:
    """Generated and practice tasks of every size."""
    task = Domain.parse(domain.pddl)
    makers = {domain.generate, domain.practice or domain.generate}
    return [
        (task, Problem.parse(make(size, Rng("reasoning", domain.name, size, i), "task"), task))
        for make in makers
        for size in SIZES[domain.name]
        for i in range(count)
    ]


def test_all_domains_with_demonstrations_are_tested_here() -> None:
    assert {name for name, domain in DOMAINS.items() if domain.demonstrated} == set(SIZES)


@domains
def test_the_plan_that_a_reasoning_says_is_valid(domain: PlanningDomain) -> None:
    assert domain.think is not None and domain.act is not None
    for i, (task, problem) in enumerate(tasks(domain, 12)):
        verdict = validate_steps(task, problem, domain.act(domain.think(problem, Rng("manner", i))))
        assert verdict.status is Status.VALID, (problem.name, verdict)


@domains
def test_a_reasoning_with_any_slips_still_says_some_plan(domain: PlanningDomain) -> None:
    assert domain.think is not None and domain.act is not None
    for i, (task, problem) in enumerate(tasks(domain, 3)):
        rng = Rng("slips", i)
        lines = domain.think(problem, rng)
        words = [word for line in lines for word in line] + list(problem.objects)
        for _ in range(20):
            line = rng.choice(lines)
            match rng.below(3):
                case 0 if len(line) > 1:
                    del line[rng.between(1, len(line) - 1)]
                case 1:
                    line.insert(rng.between(1, len(line)), rng.choice(words))
                case _:
                    lines = rng.shuffled(lines)
            for step in domain.act(lines):
                assert step[0] in task.actions


@pytest.mark.parametrize(
    "domain", [DOMAINS[name] for name in SIZES if name != "tanks"]
)  # its numbers are read in bytes
def test_every_word_of_a_demonstration_is_one_token(domain: PlanningDomain) -> None:
    tokenizer = build_tokenizer(vocabulary([domain.name]))
    single_bytes = set(range(2, 258))
    newline = tokenizer("\n")["input_ids"][0]
    for index in range(60):
        shown = demonstrate(domain, Mixture(tuple(SIZES[domain.name]), 0.0, 0.0), 3, index)
        ids = tokenizer(shown.prompt + shown.answer)["input_ids"]
        assert not single_bytes.intersection(ids) - {newline}, shown
        assert tokenizer.decode(ids) == shown.prompt + shown.answer


def test_sokoban_practice_meets_every_cell_and_two_boxes() -> None:
    domain = DOMAINS["sokoban"]
    assert domain.practice is not None
    task = Domain.parse(domain.pddl)
    problems = [Problem.parse(domain.practice(6, Rng("rooms", i), "t"), task) for i in range(300)]
    cells = {name for problem in problems for name, kind in problem.objects.items() if kind == "location"}
    assert {f"loc_{row}_{column}" for row in range(2, 12) for column in range(2, 12)} == cells
    assert {len(problem.goal_atoms()) for problem in problems} == {1, 2}


def changes(name: str, problem: Problem) -> list[tuple[str, str]]:
    """Parts of a task's text, and what to put in their place, so that the short rendering would leave something out."""
    first = {kind: thing for thing, kind in reversed(problem.objects.items())}
    if name == "sokoban":
        return [
            ("(:goal (and", "(:goal (and (at-robot loc_2_2)"),
            ("(adjacent loc_2_2 loc_2_3 right)", ""),
        ]
    rover, camera = first["rover"], first["camera"]
    return [
        ("(empty", "(full"),
        (f"(store_of {rover}store {rover})", f"(store_of {rover}store {rover}) (calibrated {camera} {rover})"),
        ("(:goal (and", f"(:goal (and (at {rover} {first['waypoint']})"),
        ("(:goal (and", f"(:goal (and (not (empty {rover}store))"),
    ]


@pytest.mark.parametrize(("name", "mark"), [("rovers", "\nseen waypoint"), ("sokoban", "\nrow loc_2_2 loc_2_3")])
def test_a_task_that_a_short_rendering_would_not_tell_in_full_is_listed_fact_by_fact(name: str, mark: str) -> None:
    domain = DOMAINS[name]
    task = Domain.parse(domain.pddl)
    text = domain.generate(domain.smallest + 1, Rng("in full", name), "task")
    problem = Problem.parse(text, task)
    assert mark in prompts.compact(domain, problem)
    for old, new in changes(name, problem):
        assert old in text
        told = prompts.compact(domain, Problem.parse(text.replace(old, new), task))
        assert mark not in told and "\n(at" in told, (old, new)


def test_rovers_reasoning_walks_back_and_names_the_way_from_each_place() -> None:
    domain = DOMAINS["rovers"]
    task = Domain.parse(domain.pddl)
    ways = [("w1", "w2"), ("w2", "w3"), ("w1", "w4")]
    both = [pair for a, b in ways for pair in ((a, b), (b, a))]
    text = f"""(define (problem walk) (:domain rover)
      (:objects general - lander r - rover rstore - store w1 w2 w3 w4 - waypoint)
      (:init (at_lander general w4) (at r w1) (equipped_for_soil_analysis r) (store_of rstore r) (empty rstore)
        (at_soil_sample w3) {" ".join(f"(visible {a} {b}) (can_traverse r {a} {b})" for a, b in both)})
      (:goal (and (communicated_soil_data w3))))"""
    problem = Problem.parse(text, task)
    assert domain.think is not None and domain.act is not None
    thoughts = [domain.think(problem, Rng("walk", i)) for i in range(40)]
    assert {" ".join(thought[1][2:]) for thought in thoughts} == {
        "w1 w2 w3 back w2 back w1 w4 back w1",
        "w1 w4 back w1 w2 w3 back w2 back w1",
    }
    thought = next(thought for thought in thoughts if thought[1][3] == "w2")
    assert [" ".join(line) for line in thought] == [
        "lander general w4",
        "walk r w1 w2 w3 back w2 back w1 w4 back w1",
        "soil r way w3 w2 w1",
        "report r way w1",
    ]
    assert domain.act(thought) == [
        ("navigate", "r", "w1", "w2"),
        ("navigate", "r", "w2", "w3"),
        ("sample_soil", "r", "rstore", "w3"),
        ("navigate", "r", "w3", "w2"),
        ("navigate", "r", "w2", "w1"),
        ("communicate_soil_data", "r", "general", "w3", "w1", "w4"),
    ]


def test_blocksworld_practice_has_facts_in_any_order_and_goals_that_say_all_or_a_part() -> None:
    domain = DOMAINS["blocksworld"]
    assert domain.practice is not None
    task = Domain.parse(domain.pddl)
    problems = [Problem.parse(domain.practice(5, Rng("order", i), "t"), task) for i in range(300)]
    places = [problem.init_list.index(("arm-empty",)) / (len(problem.init_list) - 1) for problem in problems]
    assert min(places) == 0 and max(places) == 1
    goals = [problem.goal_atoms() for problem in problems]
    complete = sum({"on", "on-table", "clear"} == {atom[0] for atom in goal} for goal in goals)
    stacked = sum({atom[0] for atom in goal} == {"on"} for goal in goals)
    assert 70 < complete < 170 and 100 < stacked < 200
    assert not any(set(goal) <= problem.init for goal, problem in zip(goals, problems, strict=True))


def test_blocksworld_direct_reasoning_leaves_what_stands_right_and_moves_what_it_can_at_once() -> None:
    domain = DOMAINS["blocksworld"]
    text = """(define (problem direct) (:domain blocksworld) (:objects b1 b2 b3 b4 b5 b6)
      (:init (arm-empty) (on-table b1) (on b2 b1) (on b3 b2) (clear b3) (on-table b4) (on b5 b4) (clear b5)
        (on-table b6) (clear b6))
      (:goal (and (on b2 b1) (on b5 b2) (on b3 b5) (on b6 b3))))"""
    problem = Problem.parse(text, Domain.parse(domain.pddl))
    said = {"\n".join(" ".join(line) for line in direct(problem, Rng("direct", i))) for i in range(60)}
    assert "take b3 b2\ntake b5 on b2 b4\ntake b6\nmake b5 b3 b6" in {"\n".join(text.split("\n")[1:]) for text in said}
    for text in said:
        first, *lines = [line.split() for line in text.split("\n")]
        assert first[0] == "stay" and {"b1", "b2", "b4"} <= set(first)
        plan = domain.act([first, *lines])
        assert validate_steps(Domain.parse(domain.pddl), problem, plan).valid and len(plan) in (8, 10)
    assert len({len(domain.act(domain.think(problem, Rng("both", i)))) for i in range(40)}) > 2
