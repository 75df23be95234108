"""What a model reads: the compact form, the full form with its example, and `iterdeploy tasks show`."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from helpers.support import assert_refused
from helpers.tasks import EVENING, LAMPS, generated, made
from iterdeploy.pddl import Domain, Problem, Status, validate_steps
from iterdeploy.planning import prompts
from iterdeploy.planning.domains import DOMAINS
from iterdeploy.planning.extract import extract_plan


def test_the_compact_form_is_the_one_that_the_embedded_model_was_trained_on() -> None:
    text = """(define (problem p) (:domain blocksworld) (:objects b7 b12 b3)
      (:init (arm-empty) (clear b3) (on b3 b12) (on-table b12) (clear b7) (on-table b7))
      (:goal (and (clear b12) (on b12 b7) (on b7 b3) (on-table b3))))"""
    assert made(DOMAINS["blocksworld"].pddl, text).prompt == (
        "blocksworld\n(arm-empty)\n(clear b3)\n(on b3 b12)\n(on-table b12)\n(clear b7)\n(on-table b7)\n"
        "goal\n(clear b12)\n(on b12 b7)\n(on b7 b3)\n(on-table b3)\n"
    )


def test_the_compact_form_of_any_domain_tells_values_objects_without_facts_and_the_whole_goal() -> None:
    assert made(LAMPS, EVENING).prompt == (
        "lamps\n(in red hall)\n(= (price red) 3)\n(= (price green) 4)\n"
        "goal\n(lit red)\n(forall (?l - lamp) (or (lit ?l) (in ?l attic)))\n"
    )
    bare = EVENING.replace("(= (price green) 4)", "").replace("(or (lit ?l) (in ?l attic))", "(lit ?l)")
    assert made(LAMPS, bare).prompt.startswith("lamps\ngreen - lamp\nattic - room\n(in red hall)\n")


def test_a_negative_goal_is_in_the_prompt() -> None:
    text = EVENING.replace("(and (lit red)", "(and (not (lit red))")
    assert "\ngoal\n(not (lit red))\n" in made(LAMPS, text).prompt


def test_sokoban_is_drawn_where_its_cells_can_be_placed_and_listed_elsewhere() -> None:
    task = generated("sokoban", 5)
    assert "\nrow loc_2_2" in task.prompt
    odd = task.payload["problem"].replace("loc_", "cell")
    listed = made(DOMAINS["sokoban"].pddl, odd).prompt
    assert "\nrow " not in listed and "(at-robot cell" in listed and "\ngoal\n(at box" in listed


@pytest.mark.parametrize("name", sorted(DOMAINS))
def test_the_full_form_holds_domain_task_answer_form_and_a_foreign_example(name: str) -> None:
    task = generated(name, DOMAINS[name].smallest, prompt="full")
    assert DOMAINS[name].pddl.strip() in task.prompt and task.payload["problem"].strip() in task.prompt
    for words in ("<think>", "</think>", "<plan>", "</plan>", "One action a line", "Common mistakes"):
        assert words in task.prompt
    assert "[[" not in task.prompt
    assert task.prompt.count(f"(define (domain {Domain.parse(DOMAINS[name].pddl).name})") == 1
    assert task.prompt.count("(define (domain ") == 2
    assert task == generated(name, DOMAINS[name].smallest, prompt="full")


@pytest.mark.parametrize("name", sorted(prompts.EXAMPLES))
def test_the_example_is_right_and_in_the_form_that_is_asked_for(name: str) -> None:
    spelt_otherwise = {"blocksworld": "ferry", "ferry": "blocksworld"}[name]
    pddl = DOMAINS[spelt_otherwise].pddl.replace("pickup", "pick-up").replace("board", "BOARD")
    example = prompts.example_for(Domain.parse(pddl))
    task, _, answer = example.partition("\n\nAnswer:\n\n")
    problem_at = task.index("(define (problem")
    domain = Domain.parse(task[:problem_at])
    problem = Problem.parse(task[problem_at:], domain)
    extraction = extract_plan(answer)
    assert domain.name == name and extraction.strict and extraction.steps
    assert validate_steps(domain, problem, extraction.steps).status is Status.VALID
    first = next(line for line in answer.splitlines() if line.startswith(f"({' '.join(extraction.steps[0])}): "))
    assert "no longer (" in first and "; now (" in first


@pytest.mark.slow
def test_show_prints_what_a_model_reads(run_cli: Callable[..., Any]) -> None:
    assert run_cli("tasks", "show", "ferry", "--size", 1).stdout.startswith("ferry\n(empty-ferry)\n")
    full = run_cli("tasks", "show", "ferry", "--size", 1, "--prompt", "full").stdout
    assert "(define (domain ferry)" in full and "Common mistakes" in full
    hidden = run_cli("tasks", "show", "ferry", "--size", 1, "--obfuscate").stdout
    assert "ferry" not in hidden and "\ngoal\n(" in hidden
    pddl = run_cli("tasks", "show", "ferry", "--size", 1, "--pddl").stdout
    assert pddl.startswith(DOMAINS["ferry"].pddl) and "(define (problem" in pddl
    hidden_pddl = run_cli("tasks", "show", "ferry", "--size", 1, "--pddl", "--obfuscate").stdout
    assert "sail" not in hidden_pddl and hidden_pddl.count("(define (") == 2


def test_show_takes_own_files(run_cli: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "d.pddl").write_text(LAMPS)
    (tmp_path / "p.pddl").write_text(EVENING)
    shown = run_cli("tasks", "show", tmp_path / "d.pddl", tmp_path / "p.pddl").stdout
    assert shown == made(LAMPS, EVENING).prompt
    (tmp_path / "p.pddl").write_text("(define")
    assert_refused(run_cli("tasks", "show", tmp_path / "d.pddl", tmp_path / "p.pddl", check_exit=2), "p.pddl: line 1")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("show", "blocksworld", "--size", 1), ("--size", "2 blocks")),
        (("show", "chess"), ("chess", "blocksworld")),
        (("make", "ferry", "--size", "0-2", "--out", "x"), ("--size", "1 cars")),
        (("make", "ferry", "--size", "huge", "--out", "x"), ("--size", "huge")),
        (("make", "ferry", "--count", 0, "--out", "x"), ("--count",)),
    ],
)
def test_what_cannot_be_shown_or_made_is_refused(
    run_cli: Callable[..., Any], arguments: tuple[object, ...], words: tuple[str, ...], tmp_path: Path
) -> None:
    assert_refused(run_cli("tasks", *arguments, check_exit=2, cwd=tmp_path), *words)
    assert not list(tmp_path.iterdir())


def test_make_writes_tasks_over_a_ramp(run_cli: Callable[..., Any], tmp_path: Path) -> None:
    run_cli("tasks", "make", "ferry", "--size", "easy", "--count", 3, "--out", tmp_path / "tasks")
    domain = Domain.parse((tmp_path / "tasks" / "domain.pddl").read_text())
    cars = []
    for path in sorted((tmp_path / "tasks").glob("p*.pddl")):
        problem = Problem.parse(path.read_text(), domain)
        cars.append(len(problem.members["car"]))
    assert cars == [4, 12, 20]
