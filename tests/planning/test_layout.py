"""Tasks written as others might write them."""

import pytest

from iterdeploy.config import TasksConfig
from iterdeploy.pddl import Problem, Status, validate_steps
from iterdeploy.planning.domains import DOMAINS
from iterdeploy.planning.layout import rewritten
from iterdeploy.planning.parsed import content, domain_of, problem_of
from iterdeploy.planning.rng import Rng
from iterdeploy.planning.taskset import PlanningTasks
from iterdeploy.sections import ConfigError


@pytest.mark.parametrize("name", sorted(DOMAINS))
def test_facts_stay_the_goal_is_whole_or_a_part_and_the_scripted_planner_still_solves_it(name: str) -> None:
    domain = DOMAINS[name]
    orders, parts = 0, 0
    for seed in range(12):
        text = domain.generate(domain.smallest + 3, Rng("layout", seed), "t")
        whole = problem_of(text, domain.pddl)
        other = Problem.parse(rewritten(text, domain.pddl, Rng(seed), cut=True), domain_of(domain.pddl))
        assert sorted(other.init_list) == sorted(whole.init_list)
        assert other.values == whole.values
        assert set(_goal(other)) <= set(_goal(whole))
        orders += other.init_list != whole.init_list
        parts += len(_goal(other)) < len(_goal(whole))
        assert validate_steps(domain_of(domain.pddl), other, []).status is not Status.VALID
        assert validate_steps(domain_of(domain.pddl), other, domain.solve(other)).status is Status.VALID
    assert orders >= 10
    assert parts >= 1 or len(_goal(whole)) == 1


@pytest.mark.parametrize("name", sorted(DOMAINS))
def test_shuffled_facts_say_the_same_task(name: str) -> None:
    domain = DOMAINS[name]
    text = domain.generate(domain.smallest + 3, Rng("layout", 1), "t")
    other = rewritten(text, domain.pddl, Rng(1), cut=False)
    assert other != text
    assert content(problem_of(other, domain.pddl)) == content(problem_of(text, domain.pddl))


def test_no_deployed_task_is_a_held_out_one_in_other_words() -> None:
    config = TasksConfig.model_validate({"sizes": "3", "deployed": 60, "held_out": 60, "layout": "partial"})
    tasks = PlanningTasks(config, seed=1)

    def contents(some: list) -> set[str]:  # type: ignore[type-arg]
        return {content(problem_of(task.payload["problem"], task.payload["domain"])) for task in some}

    assert not contents(tasks.deployed(0)) & contents(tasks.held_out)
    assert tasks.describe()["Prompts"] == "compact, facts in any order, half of the goals cut"


def test_the_layout_of_ones_own_files_is_theirs(tmp_path) -> None:  # type: ignore[no-untyped-def]
    from iterdeploy.config import RunConfig
    from iterdeploy.planning.own_tasks import OwnTasks

    (tmp_path / "d.pddl").write_text(DOMAINS["blocksworld"].pddl)
    (tmp_path / "p.pddl").write_text(DOMAINS["blocksworld"].generate(3, Rng(1), "p"))
    tasks = {"kind": "pddl", "domain_file": str(tmp_path / "d.pddl"), "problem_files": str(tmp_path / "p.pddl")}
    config = RunConfig.model_validate({"tasks": tasks | {"layout": "partial"}, "training": {"learning_rate": 1.0}})
    with pytest.raises(ConfigError, match=r"tasks\.layout"):
        OwnTasks.of(config)


def _goal(problem: Problem) -> list[str]:
    from iterdeploy.pddl.conditions import conjuncts, show

    return [show(part) for part in conjuncts(problem.goal)]
