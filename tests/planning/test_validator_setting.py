"""Who judges: the package's own validator, VAL or both, by configuration and by `iterdeploy validate --oracle`.

VAL is played by a small program that judges with the tests' own naive validator.
"""

import json
import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from helpers.fake_val import install
from helpers.support import TINY, assert_refused, config_with
from iterdeploy.config import TasksConfig, ValidationConfig
from iterdeploy.pddl import Domain, Problem
from iterdeploy.planning.domains import DOMAINS
from iterdeploy.planning.prompts import answer
from iterdeploy.planning.taskset import PlanningTasks
from iterdeploy.sections import ConfigError
from iterdeploy.tasks import task_set
from iterdeploy.types import Completion, Status, Task

Install = Callable[..., Path]
LAMPS = """(define (domain lamps) (:predicates (lit ?x) (wired ?x))
  (:action switch-on :parameters (?x) :precondition (wired ?x) :effect (lit ?x)))"""
ONE = "(define (problem p) (:domain lamps) (:objects a b) (:init (wired a)) (:goal (lit a)))"

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the fake VAL is a script with a shebang")


@pytest.fixture
def val(tmp_path: Path) -> Install:
    return partial(install, tmp_path)


@pytest.fixture
def no_val(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("ITERDEPLOY_VAL", raising=False)
    (tmp_path / "empty").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))


def tasks(**validation: Any) -> PlanningTasks:
    return PlanningTasks(TasksConfig(**TINY["tasks"]), 5, ValidationConfig(**validation))


def said(task: Task, *, wrong: bool = False) -> Completion:
    steps = DOMAINS["blocksworld"].solve(Problem.parse(task.payload["problem"], Domain.parse(task.payload["domain"])))
    return Completion(answer([["hm"]], steps[:-1] if wrong else steps), (1,), (2, 0), None, "stop", 2)


@pytest.mark.parametrize(
    ("validator", "name"), [("iterdeploy", "iterdeploy.pddl"), ("val", "VAL"), ("both", "iterdeploy.pddl and VAL")]
)
def test_the_configured_validator_judges_and_is_recorded(val: Install, validator: Any, name: str) -> None:
    made = tasks(validator=validator, val_path=str(val()))
    task = made.deployed(0)[0]
    good, bad = made.judge(task, [said(task)]), made.judge(task, [said(task, wrong=True)])
    assert (good.status, good.reason, good.validator, good.facts["strict"]) == (Status.VALID, "", name, 1)
    assert good.facts["cost"] == len(good.answer) > 0
    assert (bad.status, bad.validator) == (Status.INVALID, name) and "cost" not in bad.facts
    assert bad.answer and bad.reason
    prose = made.judge(task, [Completion("hm", (1,), (2, 0), None, "stop", 0)])
    assert (prose.status, prose.validator) == (Status.UNPARSEABLE, name)


def test_random_names_are_mapped_back_before_val_judges(val: Install) -> None:
    config = TasksConfig(**TINY["tasks"], obfuscate=True)
    made = PlanningTasks(config, 5, ValidationConfig(validator="val", val_path=str(val())))
    task = made.deployed(0)[0]
    names = {true: random for random, true in json.loads(task.payload["true_names"]).items()}
    plan = DOMAINS["blocksworld"].solve(Problem.parse(task.payload["problem"], Domain.parse(task.payload["domain"])))
    hidden = answer([], [tuple(names[word] for word in step) for step in plan])
    assert made.judge(task, [Completion(hidden, (1,), (2, 0), None, "stop", 2)]).status is Status.VALID
    assert made.judge(task, [said(task)]).status is Status.INVALID


@pytest.mark.parametrize("mood", ["contrary", "crash", "hang", "grumble"])
@pytest.mark.parametrize("validator", ["val", "both"])
def test_what_val_cannot_say_is_an_error_and_so_is_disagreement(val: Install, validator: Any, mood: str) -> None:
    made = tasks(validator=validator, val_path=str(val()), timeout=2)
    task = made.deployed(0)[0]
    val(mood)
    verdict = made.judge(task, [said(task)])
    if mood == "contrary" and validator == "val":
        assert verdict.status is Status.INVALID
        return
    assert verdict.status is Status.ERROR and "cost" not in verdict.facts and verdict.answer
    if validator == "both":
        assert "ours: valid" in verdict.reason and "VAL" in verdict.reason
        assert ("the validators disagree" in verdict.reason) is (mood == "contrary")
    if mood == "hang":
        assert "within 2 seconds" in verdict.reason


@pytest.mark.usefixtures("no_val")
@pytest.mark.parametrize("validator", ["val", "both"])
def test_a_val_that_is_not_there_is_refused_by_key(validator: Any, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"validation\.validator = .*VAL not found.*validation\.val_path"):
        task_set(config_with({"validation.validator": validator}))
    with pytest.raises(ConfigError, match=r"validation\.validator = .*nowhere is not a program"):
        task_set(config_with({"validation.validator": validator, "validation.val_path": str(tmp_path / "nowhere")}))


@pytest.mark.parametrize("mood", ["contrary", "crash", "grumble"])
def test_a_val_that_does_not_work_is_refused_before_anything_is_sampled(val: Install, mood: str) -> None:
    with pytest.raises(ConfigError, match=r"validation\.val_path: .*Validate fails on a plan that is valid"):
        tasks(validator="val", val_path=str(val(mood)))


def test_a_file_that_is_not_a_program_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "Validate"
    path.write_bytes(b"\x00\x01\x02")
    path.chmod(0o755)
    with pytest.raises(ConfigError, match=r"validation\.val_path: .*Validate cannot be run"):
        tasks(validator="val", val_path=str(path))


def test_val_is_found_by_the_environment(val: Install, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ITERDEPLOY_VAL", str(val(name="mine")))
    made = tasks(validator="val")
    task = made.deployed(0)[0]
    assert made.judge(task, [said(task)]).status is Status.VALID


@pytest.fixture
def files(tmp_path: Path) -> Callable[[str], list[Path]]:
    def write(plan: str) -> list[Path]:
        texts = {"domain.pddl": LAMPS, "problem.pddl": ONE, "plan.txt": plan}
        for name, text in texts.items():
            (tmp_path / name).write_text(text)
        return [tmp_path / name for name in texts]

    return write


@pytest.mark.parametrize("oracle", ["val", "both"])
@pytest.mark.parametrize(("plan", "exit_status", "word"), [("(Switch-on A)", 0, "valid, cost 1"), ("", 1, "invalid")])
def test_validate_with_an_oracle(
    run_cli: Callable[..., Any], val: Install, files: Any, oracle: str, plan: str, exit_status: int, word: str
) -> None:
    environment = {**os.environ, "ITERDEPLOY_VAL": str(val())}
    done = run_cli("validate", *files(plan), "--oracle", oracle, env=environment, check_exit=exit_status)
    assert done.stdout.startswith(word)


@pytest.mark.parametrize(("mood", "words"), [("contrary", "disagree"), ("crash", "signal 11")])
def test_validate_with_an_oracle_that_disagrees_or_fails(
    run_cli: Callable[..., Any], val: Install, files: Any, mood: str, words: str
) -> None:
    environment = {**os.environ, "ITERDEPLOY_VAL": str(val(mood))}
    done = run_cli("validate", *files("(switch-on a)"), "--oracle", "both", "--json", env=environment, check_exit=2)
    verdict = json.loads(done.stdout)
    assert verdict["status"] == "error" and words in verdict["reason"]


@pytest.mark.parametrize("oracle", ["val", "both"])
def test_validate_without_val(run_cli: Callable[..., Any], files: Any, oracle: str, tmp_path: Path) -> None:
    environment = {**os.environ, "ITERDEPLOY_VAL": str(tmp_path / "nowhere")}
    done = run_cli("validate", *files("(switch-on a)"), "--oracle", oracle, env=environment, check_exit=2)
    assert "VAL not found" in done.stdout


def test_a_run_refuses_a_missing_val_before_it_makes_a_folder(
    run_cli: Callable[..., Any], tiny_config: Callable[..., Path], tmp_path: Path
) -> None:
    path = tiny_config({"validation.validator": "both", "validation.val_path": str(tmp_path / "nowhere")})
    done = run_cli("run", path, "--runs-dir", tmp_path / "runs", check_exit=2)
    assert_refused(done, "validation.validator", "nowhere")
    assert not (tmp_path / "runs").exists()
