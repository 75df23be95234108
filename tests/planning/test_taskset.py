"""The planning task set: seeded, disjoint, without duplicates, and its verdicts on answers."""

from typing import Any

import pytest

from helpers.support import TINY, config_with
from iterdeploy.config import TasksConfig
from iterdeploy.pddl import Domain, Problem
from iterdeploy.planning.domains import DOMAINS
from iterdeploy.planning.plans import plan_of
from iterdeploy.planning.taskset import PlanningTasks
from iterdeploy.sections import ConfigError
from iterdeploy.tasks import task_set
from iterdeploy.types import Completion, Split, Status


def tasks(seed: int = 5, **changes: Any) -> PlanningTasks:
    return PlanningTasks(TasksConfig(**{**TINY["tasks"], **changes}), seed)


def said(text: str, finish_reason: str = "stop") -> Completion:
    return Completion(text, (1,), (2, 0), None, finish_reason, 0)


def test_there_are_as_many_as_asked_for_of_each_size_and_domain() -> None:
    made = tasks(sizes="2-4", deployed=12, held_out=6, domains=("blocksworld", "ferry"))
    assert [task.size for task in made.deployed(0)] == [2, 3, 4] * 8
    assert [task.domain for task in made.held_out] == ["blocksworld"] * 6 + ["ferry"] * 6
    assert {task.split for task in made.deployed(0)} == {Split.DEPLOYED}
    assert {task.split for task in made.held_out} == {Split.HELD_OUT}


def test_no_two_tasks_are_the_same_and_none_is_in_both_splits() -> None:
    made = tasks(deployed=300, held_out=300, sizes="2")
    texts = [task.payload["problem"] for task in [*made.deployed(0), *made.held_out]]
    ids = [task.id for task in [*made.deployed(0), *made.held_out]]
    assert len(set(texts)) == len(set(ids)) == 600


def test_they_follow_from_the_seed_alone() -> None:
    assert tasks().deployed(0) == tasks().deployed(0) and tasks().held_out == tasks().held_out
    assert tasks(1).deployed(0) != tasks(2).deployed(0) and tasks(1).held_out != tasks(2).held_out


def test_asking_for_the_deployed_ones_first_changes_nothing() -> None:
    first, second = tasks(), tasks()
    deployed = first.deployed(0)
    assert first.held_out == second.held_out and deployed == second.deployed(0)


def test_fixed_tasks_are_the_same_in_every_generation_and_fresh_ones_are_not() -> None:
    fixed, fresh = tasks(), tasks(fresh=True, sizes="4")
    assert fixed.deployed(0) == fixed.deployed(3)
    ids = [{task.id for task in fresh.deployed(generation)} for generation in range(3)]
    assert len(ids[0] | ids[1] | ids[2]) == 36
    held_out = {task.id for task in fresh.held_out}
    assert not held_out & (ids[0] | ids[1] | ids[2])
    assert fresh.deployed(0) == tasks(fresh=True, sizes="4").deployed(0)


def test_fresh_tasks_of_a_generation_do_not_depend_on_the_generations_before() -> None:
    """A resumed run asks for generation 2 without ever having made generation 1."""
    straight, resumed = tasks(fresh=True), tasks(fresh=True)
    for generation in range(2):
        straight.deployed(generation)
    assert straight.deployed(2) == resumed.deployed(2)


def test_every_task_carries_pddl_that_parses_and_a_prompt_that_tells_its_facts() -> None:
    for task in tasks(sizes="2-5").deployed(0):
        problem = Problem.parse(task.payload["problem"], Domain.parse(task.payload["domain"]))
        assert len(problem.objects) == task.size
        assert task.prompt.startswith("blocksworld\n") and "goal\n" in task.prompt
        for atom in (*problem.init_list, *problem.goal_atoms()):
            assert f"({' '.join(atom)})" in task.prompt


@pytest.mark.slow
def test_more_tasks_than_there_are_is_refused_with_advice() -> None:
    with pytest.raises(ConfigError, match=r"not enough different blocksworld tasks with 2 blocks.*tasks\.deployed"):
        tasks(sizes="2", deployed=50_000).deployed(0)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"domains": ("blocksworld", "chess")}, r"tasks\.domains: chess.*blocksworld"),
        ({"domains": ()}, r"tasks\.domains: empty"),
        ({"sizes": "1-3"}, r"tasks\.sizes: 1-3.*2 blocks"),
        ({"sizes": "0"}, r"tasks\.sizes"),
        ({"sizes": {"ferry": "2"}}, r"tasks\.sizes: a table names each.*blocksworld"),
        ({"sizes": {"blocksworld": "2", "ferry": "2"}}, r"tasks\.sizes: a table names each.*blocksworld"),
    ],
)
def test_what_cannot_be_made_is_refused_at_once(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        tasks(**changes)


def test_each_domain_may_have_sizes_of_its_own() -> None:
    made = tasks(domains=("blocksworld", "ferry"), sizes={"blocksworld": "4,5", "ferry": 2}, held_out=4)
    assert [(task.domain, task.size) for task in made.held_out] == [
        ("blocksworld", 4), ("blocksworld", 5), ("blocksworld", 4), ("blocksworld", 5),
        ("ferry", 2), ("ferry", 2), ("ferry", 2), ("ferry", 2),
    ]  # fmt: skip


def test_an_unknown_kind_of_tasks_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"tasks\.kind: 'chess'.*planning"):
        task_set(config_with({"tasks.kind": "chess"}))


def test_judging() -> None:
    made = tasks()
    task = made.deployed(0)[0]
    domain = DOMAINS["blocksworld"]
    steps = domain.solve(Problem.parse(task.payload["problem"], Domain.parse(domain.pddl)))
    good = "<plan>\n" + "".join(f"({' '.join(step)})\n" for step in steps) + "</plan>"

    verdict = made.judge(task, [said(good)])
    assert (verdict.status, verdict.reason, verdict.reward) == (Status.VALID, "", 1)
    assert plan_of(verdict) == tuple(steps)
    assert verdict.facts == {"plan_length": len(steps), "cost": len(steps), "cost_ratio": 1, "strict": 1}
    lenient = made.judge(task, [said("My plan:\n" + good.upper())])
    assert lenient.status is Status.VALID and plan_of(lenient) == tuple(steps) and lenient.facts["strict"] == 0

    wrong = made.judge(task, [said(good.replace(steps[0][0], "fly", 1))])
    assert (wrong.status, wrong.facts["failed_step"]) == (Status.INVALID, 1) and "step 1" in wrong.reason
    assert "cost" not in wrong.facts and wrong.reward == 0
    short = made.judge(task, [said("<plan>\n</plan>")])
    assert short.status is Status.INVALID and "failed_step" not in short.facts and "goal" in short.reason

    prose = made.judge(task, [said("I would rather not.")])
    assert prose.status is Status.UNPARSEABLE and prose.reason and prose.answer is None and not prose.facts
    cut = made.judge(task, [said(good, "length")])
    assert cut.status is Status.TRUNCATED and cut.answer is None and "limit" in cut.reason


def test_a_validator_that_fails_gives_an_error_not_an_invalid_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RecursionError("too deep")

    monkeypatch.setattr("iterdeploy.planning.judge.validate_steps", broken)
    made = tasks()
    verdict = made.judge(made.deployed(0)[0], [said("<plan>\n(pickup b1)\n</plan>")])
    assert verdict.status is Status.ERROR and "too deep" in verdict.reason


NONSENSE = ["(pickup)\n", "(stack b1 b1 b1 b1)\n", "(pickup b1)\n" * 5000, f"({'a ' * 5000})\n"]


@pytest.mark.parametrize("text", [f"<plan>\n{lines}</plan>" for lines in NONSENSE], ids=range(len(NONSENSE)))
def test_nonsense_is_invalid_not_a_crash(text: str) -> None:
    made = tasks()
    assert made.judge(made.deployed(0)[0], [said(text)]).status is Status.INVALID
