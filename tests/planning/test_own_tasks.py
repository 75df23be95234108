"""Tasks from one's own PDDL files: read as they are, split by seed or pattern, refused with the file's name."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from helpers.support import assert_refused, config_with, shared, values_with
from iterdeploy.config import RunConfig
from iterdeploy.planning.domains import DOMAINS
from iterdeploy.planning.prompts import answer
from iterdeploy.planning.rng import Rng
from iterdeploy.sections import ConfigError
from iterdeploy.tasks import TaskSet, task_set
from iterdeploy.types import Completion, Split, Status

IPC = shared("ipc2023")
FERRY = DOMAINS["ferry"]
LAMPS = """(define (domain lamps) (:predicates (lit ?x) (wired ?x))
  (:action switch-on :parameters (?x) :precondition (wired ?x) :effect (lit ?x)))"""


def lamps(*names: str, goal: str = "", head: str = "p") -> str:
    wired = " ".join(f"(wired {name})" for name in names)
    return f"(define (problem {head}) (:domain lamps) (:objects {' '.join(names)}) (:init {wired}) (:goal {goal or f'(lit {names[0]})'}))"  # noqa: E501


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Ten different tasks beside their domain."""
    (tmp_path / "domain.pddl").write_text(LAMPS)
    for i in range(10):
        (tmp_path / f"p{i}.pddl").write_text(lamps(*(f"lamp{j}" for j in range(i + 1))))
    return tmp_path


def config(folder: Path, seed: int = 5, **changes: Any) -> RunConfig:
    values = values_with({"seed": seed})
    own = {"kind": "pddl", "domain_file": str(folder / "domain.pddl"), "problem_files": str(folder / "*.pddl")}
    return RunConfig.model_validate({**values, "tasks": {**own, **changes}})


def made(folder: Path, seed: int = 5, **changes: Any) -> TaskSet:
    return task_set(config(folder, seed, **changes))


def said(text: str) -> Completion:
    return Completion(text, (1,), (2, 0), None, "stop", 0)


def test_every_file_is_a_task_as_it_stands(folder: Path) -> None:
    tasks = made(folder)
    assert tasks.held_out == [] and tasks.deployed(0) is tasks.deployed(3)
    texts = [path.read_text() for path in sorted(folder.glob("p*.pddl"))]
    assert [task.payload["problem"] for task in tasks.deployed(0)] == texts
    assert [task.size for task in tasks.deployed(0)] == list(range(1, 11))
    assert {(task.domain, task.split) for task in tasks.deployed(0)} == {("lamps", Split.DEPLOYED)}
    task = tasks.deployed(0)[1]
    assert task.prompt == "lamps\n(wired lamp0)\n(wired lamp1)\ngoal\n(lit lamp0)\n"
    assert tasks.judge(task, [said("<plan>\n(switch-on lamp0)\n</plan>")]).status is Status.VALID
    assert tasks.judge(task, [said("<plan>\n(switch-on lamp1)\n</plan>")]).status is Status.INVALID


def test_a_share_is_held_out_by_the_seed(folder: Path) -> None:
    tasks, again, other = (
        made(folder, held_out_share=0.3),
        made(folder, held_out_share=0.3),
        made(folder, 6, held_out_share=0.3),
    )
    assert tasks.held_out == again.held_out and tasks.deployed(0) == again.deployed(0)
    assert tasks.held_out != other.held_out
    assert len(tasks.held_out) == 3 and {task.split for task in tasks.held_out} == {Split.HELD_OUT}
    ids = {task.id for task in tasks.held_out} | {task.id for task in tasks.deployed(0)}
    assert len(ids) == 10
    assert len(made(folder, held_out_share=0.01).held_out) == 1


def test_a_pattern_holds_out_its_files(folder: Path) -> None:
    tasks = made(folder, held_out_files=str(folder / "p[0-3].pddl"))
    assert [task.size for task in tasks.held_out] == [1, 2, 3, 4]
    assert [task.size for task in tasks.deployed(0)] == [5, 6, 7, 8, 9, 10]


def test_prompts_and_random_names_are_as_for_generated_tasks(folder: Path) -> None:
    assert LAMPS in made(folder, prompt="full").deployed(0)[0].prompt
    hidden = made(folder, obfuscate=True).deployed(0)[0]
    assert "lamp" not in hidden.prompt and "true_names" in hidden.payload


def test_one_s_own_tasks_of_a_known_domain_get_its_reference_costs(tmp_path: Path) -> None:
    (tmp_path / "domain.pddl").write_text(FERRY.pddl.replace("(domain ferry)", "(domain boats)"))
    (tmp_path / "p1.pddl").write_text(FERRY.generate(2, Rng("own"), "p").replace("(:domain ferry)", "(:domain boats)"))
    (task,) = made(tmp_path).deployed(0)
    assert task.domain == "boats" and float(task.payload["reference_cost"]) > 3
    assert "reference_cost" not in made(tmp_path, references="none").deployed(0)[0].payload


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"problem_files": "nowhere/*.pddl"},
            r"tasks\.problem_files: no problem file matches nowhere.*current|start from",
        ),
        ({"domain_file": "nowhere.pddl"}, r"tasks\.domain_file: nowhere\.pddl: No such file"),
        ({"held_out_files": "nowhere/*"}, r"tasks\.held_out_files: no problem file matches"),
        ({"held_out_share": 0.99}, r"tasks\.problem_files: every file is held out"),
        ({"held_out_share": 0.5, "held_out_files": "p*"}, r"tasks\.held_out_share"),
        ({"domain_file": ""}, r"tasks\.domain_file: .*required"),
        ({"problem_files": ""}, r"tasks\.problem_files: .*required"),
        ({"fresh": True}, r"tasks\.fresh"),
        ({"sizes": "3"}, r"tasks\.sizes"),
        ({"domains": ["ferry"]}, r"tasks\.domains"),
        ({"deployed": 5}, r"tasks\.deployed"),
    ],
)
def test_what_cannot_be_used_is_refused_by_key(folder: Path, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        made(folder, **changes)


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("p5.pddl", "(define (problem p)", r"p5\.pddl: line 1"),
        ("p5.pddl", lamps("a", goal="(shining a)"), r"p5\.pddl: .*shining"),
        ("p5.pddl", lamps("a", goal="(wired a)"), r"p5\.pddl: the goal holds at the start"),
        ("p5.pddl", lamps("a", goal="(and)"), r"p5\.pddl: the goal holds at the start"),
        ("p5.pddl", b"\xff\xfe", r"p5\.pddl: not a text file in UTF-8"),
        (
            "p5.pddl",
            lamps("lamp1", "lamp0", goal="(and (LIT lamp0))", head="q"),
            r"p1\.pddl and .*p5\.pddl are the same",
        ),
        ("domain.pddl", LAMPS.replace("(wired ?x) :effect", "(wierd ?x) :effect"), r"domain\.pddl: .*wierd"),
        ("domain.pddl", LAMPS.replace(":action", ":durative-action"), r"domain\.pddl: not supported: durative"),
    ],
)
def test_a_file_that_cannot_be_used_is_named(folder: Path, name: str, text: str | bytes, words: str) -> None:
    (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    for share in (0.0, 0.5):
        with pytest.raises(ConfigError, match=words):
            made(folder, held_out_share=share)


def test_generated_tasks_refuse_the_keys_for_own_files() -> None:
    for key, value in (("domain_file", "d.pddl"), ("problem_files", "p*"), ("held_out_share", 0.5)):
        with pytest.raises(ConfigError, match=f"tasks.{key}: needs tasks.kind"):
            task_set(config_with({f"tasks.{key}": value}))


def test_relative_paths_start_from_the_current_directory(
    folder: Path, run_cli: Callable[..., Any], tiny_config: Callable[..., Path]
) -> None:
    own = {"kind": "pddl", "domain_file": "domain.pddl", "problem_files": "p?.pddl", "held_out_share": 0.2}
    path = tiny_config({f"tasks.{key}": value for key, value in own.items()} | dict.fromkeys(
        ("tasks.sizes", "tasks.deployed", "tasks.held_out")))  # fmt: skip
    assert "8 deployed, 2 held out" in run_cli("run", path, "--dry-run", cwd=folder).stdout
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir()
    done = run_cli("run", path, "--dry-run", cwd=elsewhere, check_exit=2)
    assert_refused(done, "tasks.domain_file", f"start from {elsewhere}")


@pytest.mark.skipif(not IPC.is_dir(), reason="the IPC instances are not here")
@pytest.mark.parametrize("name", sorted(name for name, domain in DOMAINS.items() if not domain.numeric))
def test_ipc_instances_work_as_they_are(name: str) -> None:
    values = values_with()
    values["tasks"] = {
        "kind": "pddl",
        "domain_file": str(IPC / "domains" / f"{name}.pddl"),
        "problem_files": str(IPC / "testing-easy" / name / "*.pddl"),
        "held_out_share": 0.2,
    }
    tasks = task_set(RunConfig.model_validate(values))
    assert (len(tasks.deployed(0)), len(tasks.held_out)) == (24, 6)
    with_reference = [task for task in tasks.deployed(0) if "reference_cost" in task.payload]
    assert len(with_reference) >= 23
    for path in sorted((IPC / "testing-easy" / name).glob("*.pddl")):
        lines = path.with_suffix(".plan").read_text().lower().splitlines()
        steps = [tuple(line.strip("() ").split()) for line in lines if line.startswith("(")]
        task = next(
            task for task in [*tasks.deployed(0), *tasks.held_out] if task.payload["problem"] == path.read_text()
        )
        assert tasks.judge(task, [said(answer([["hm"]], steps))]).status is Status.VALID
