"""Tasks of reasoning-gym, made and scored by the package itself, and environments of gymnasium."""

import re
from pathlib import Path
from typing import Any

import pytest

from helpers.support import config_with, iterdeploy
from iterdeploy import Completion, Observation, Status, Task, Verdict
from iterdeploy.sections import ConfigError
from iterdeploy.tasks import TaskSet, task_set
from iterdeploy.tasks.judging import ProcessJudges, verdicts
from iterdeploy.tasks.python import PythonTasks


def tasks_of(generators: dict[str, dict[str, Any]], **options: Any) -> TaskSet:
    values = {"generators": generators, "deployed": 6, "held_out": 4, **options}
    return task_set(config_with({"tasks": {"kind": "reasoning_gym", "options": values}, "validation.processes": 1}))


def said(text: str, reason: str = "stop") -> list[Completion]:
    return [Completion(text, (1,), (2, 0), None, reason, 0)]


def answer_to(task: Task) -> str:
    from iterdeploy.tasks.reasoning_gym import _question

    return str(_question(task.payload)[1]["answer"])


def test_a_generators_own_scorer_judges_and_its_curriculum_is_the_size() -> None:
    tasks = tasks_of({"chain_sum": {}}, sizes="1,5")
    assert isinstance(tasks, PythonTasks)
    deployed = tasks.deployed(0)
    assert [task.size for task in deployed] == [1, 5] * 3 and {task.domain for task in deployed} == {"chain_sum"}
    small, large = deployed[:2]
    terms = [len(re.findall(r" [+-] ", task.prompt)) + 1 for task in (small, large)]
    assert terms[0] == 2 < terms[1]
    right = tasks.judge(small, said(f"<think>hm</think>It is <answer>{answer_to(small)}</answer>"))
    wrong = tasks.judge(small, said("<answer>no</answer>"))
    assert isinstance(right, Verdict) and (right.status, right.reward) == (Status.VALID, 1.0)
    assert isinstance(wrong, Verdict) and wrong.status is Status.INVALID and wrong.facts["score"] < 1
    cut = tasks.judge(small, said("<answer>", "length"))
    assert isinstance(cut, Verdict) and cut.status is Status.TRUNCATED


def test_an_answer_that_is_good_enough_is_valid_by_the_threshold() -> None:
    task, *_ = tasks_of({"chain_sum": {}}).deployed(0)
    lenient = tasks_of({"chain_sum": {}}, threshold=0.0)
    assert isinstance(lenient, PythonTasks)
    verdict = lenient.judge(task, said("nonsense"))
    assert isinstance(verdict, Verdict) and verdict.status is Status.VALID and verdict.reward < 1


def test_tasks_follow_from_the_seed_and_no_question_is_asked_on_both_sides() -> None:
    generators: dict[str, dict[str, Any]] = {"chain_sum": {}, "number_sorting": {"min_numbers": 2, "max_numbers": 4}}
    tasks, again = (tasks_of(generators, deployed=20) for _ in range(2))
    assert tasks.deployed(0) == again.deployed(0) == tasks.deployed(1) and tasks.held_out == again.held_out
    questions = [task.prompt for task in [*tasks.deployed(0), *tasks.held_out]]
    assert len(set(questions)) == len(questions) == 2 * (20 + 4)
    fresh = tasks_of({"chain_sum": {}}, fresh=True)
    assert not {task.id for task in fresh.deployed(0)} & {task.id for task in fresh.deployed(1)}


def test_answers_are_scored_in_a_process_of_their_own() -> None:
    values = {"generators": {"chain_sum": {}}, "deployed": 2, "held_out": 1}
    config = config_with({"tasks": {"kind": "reasoning_gym", "options": values}, "validation.processes": 1})
    task, *_ = task_set(config).deployed(0)
    with ProcessJudges(config) as judges:
        (verdict,) = verdicts(judges, [(task, said(answer_to(task)))])
    assert verdict.status is Status.VALID


@pytest.mark.parametrize(
    ("generators", "options", "words"),
    [
        ({"chain_some": {}}, {}, "'chain_some' is not one of"),
        ({"chain_sum": {"min_termz": 3}}, {}, "min_termz"),
        ({"chain_sum": {"min_terms": -3}}, {}, "chain_sum"),
        ({"chain_sum": {}}, {"sizes": "90"}, "largest size of chain_sum"),
        ({"chain_sum": {}}, {"sizes": "0"}, "smallest size is 1"),
        ({}, {}, "generators"),
        ({"coin_flip": {"min_trials": 1, "max_trials": 1}}, {"deployed": 500}, "fewer different questions"),
    ],
)
def test_what_the_package_cannot_make_is_refused(
    generators: dict[str, dict[str, Any]], options: dict[str, Any], words: str
) -> None:
    with pytest.raises(ConfigError, match=words):
        tasks_of(generators, **options).deployed(0)


@pytest.mark.slow
def test_the_smoke_configuration_runs(tmp_path: Path) -> None:
    done = iterdeploy("run", "smoke/reasoning-gym", "--runs-dir", tmp_path, "--name", "smoke", "--set", "generations=0")
    assert done.returncode == 0, done.stderr


LAKE = """
from iterdeploy.tasks.gymnasium import GymnasiumTasks

MOVES = ["left", "down", "right", "up"]

def lake(options, seed):
    return GymnasiumTasks(
        "FrozenLake-v1", seed=seed, deployed=3, held_out=2, prompt="Cross the lake.\\n",
        render=lambda observation: f"{observation}\\n", parse=lambda said: MOVES.index(said.strip()), is_slippery=False,
    )
"""


def test_an_environment_of_gymnasium_is_played_in_words(tmp_path: Path) -> None:
    (tmp_path / "lake.py").write_text(LAKE)
    config = config_with({"tasks": {"kind": f"{tmp_path / 'lake.py'}:lake"}})
    tasks = task_set(config)
    assert isinstance(tasks, PythonTasks)
    task, *_ = tasks.deployed(0)
    assert tasks.judge(task, []) == Observation("0\n")
    lost = tasks.judge(task, [call for move in ("down", "right") for call in said(move)])
    assert isinstance(lost, Verdict) and lost.status is Status.INVALID and lost.reward == 0
    strange = tasks.judge(task, said("swim"))
    assert isinstance(strange, Observation) and "'swim' is not in list" in strange.text
    way = ["down", "down", "right", "right", "down", "right"]
    won = tasks.judge(task, [call for move in way for call in said(move)])
    assert isinstance(won, Verdict) and (won.status, won.reward) == (Status.VALID, 1.0)
