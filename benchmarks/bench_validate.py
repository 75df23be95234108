"""Time per validated plan, compared with the other validators that are installed.

    python benchmarks/bench_validate.py [--rounds 9] [--limit 20]

Blocks are piled at random and taken apart again: tasks and plans are made here, and every plan is valid. In each round
every tool judges the same new plans, one tool after the other, so that a busy machine is busy for all. "parsed once"
has the task ready and gets the text of a plan; "with parsing" gets three texts, or three files. The table gives
medians in milliseconds and how many times longer than iterdeploy with the task parsed once. Compared are
unified-planning, pddl-pyvalidator (its phases are called one by one where the task is parsed once) and VAL (found as
`iterdeploy.pddl.val` finds it; it always parses). A tool that spent `--limit` seconds on a size is left out of further
rounds; the medians then rest on fewer plans.
"""

import argparse
import importlib.util
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from iterdeploy.pddl import Domain, Problem, Step, format_plan, validate
from iterdeploy.pddl.val import find_val

DOMAIN = """(define (domain blocks)
  (:requirements :strips :typing)
  (:types block)
  (:predicates (on ?x ?y - block) (on-table ?x - block) (clear ?x - block) (holding ?x - block) (hand-empty))
  (:action pick-up :parameters (?x - block)
    :precondition (and (clear ?x) (on-table ?x) (hand-empty))
    :effect (and (holding ?x) (not (clear ?x)) (not (on-table ?x)) (not (hand-empty))))
  (:action put-down :parameters (?x - block)
    :precondition (holding ?x)
    :effect (and (clear ?x) (on-table ?x) (hand-empty) (not (holding ?x))))
  (:action stack :parameters (?x ?y - block)
    :precondition (and (holding ?x) (clear ?y))
    :effect (and (on ?x ?y) (clear ?x) (hand-empty) (not (holding ?x)) (not (clear ?y))))
  (:action unstack :parameters (?x ?y - block)
    :precondition (and (on ?x ?y) (clear ?x) (hand-empty))
    :effect (and (holding ?x) (clear ?y) (not (on ?x ?y)) (not (clear ?x)) (not (hand-empty)))))
"""
BLOCKS = {10: 5, 100: 15, 1000: 60, 100_000: 300}
"""Steps of a plan to blocks of its task."""
BATCH = {10: 20, 100: 5, 1000: 1}
"""Steps of a plan to plans that are judged, and timed, in one go."""

Judge = Callable[[str, Path], bool]
"""Whether a plan, given as text and as a file, is valid."""
Maker = Callable[[str, Path], dict[str, Judge]]
"""From a problem's text, and the folder with the domain and the problem, to a judge for each mode."""


def blocks_problem(count: int) -> str:
    """All blocks on the table, at the start and in the end."""
    names = [f"b{i}" for i in range(count)]
    flat = " ".join(f"(on-table {name}) (clear {name})" for name in names)
    return f"""(define (problem flat) (:domain blocks) (:objects {" ".join(names)} - block)
      (:init (hand-empty) {flat}) (:goal (and {flat})))"""


def blocks_plan(count: int, length: int, rng: random.Random) -> list[Step]:
    """Exactly `length` steps, an even number, of which about the first half builds towers."""
    towers = [[f"b{i}"] for i in range(count)]
    steps: list[Step] = []

    def move(source: list[str], target: list[str]) -> None:
        """The top block of one tower onto another, or onto the table where that is empty."""
        block = source.pop()
        steps.append(("unstack", block, source[-1]) if source else ("pick-up", block))
        steps.append(("stack", block, target[-1]) if target else ("put-down", block))
        target.append(block)
        towers[:] = [tower for tower in towers if tower and tower is not target] + [target]

    def moves_to_flatten() -> int:
        return sum(len(tower) - 1 for tower in towers)

    while len(steps) // 2 + moves_to_flatten() < length // 2 - 1:
        source, target = rng.choice(towers), rng.choice(towers)
        move(source, target if target is not source else [])
    while len(steps) < length:
        move(max(towers, key=len), [])
    return steps


def grid_task(size: int) -> tuple[str, str]:
    """A Sokoban-like task: a grid with the neighbours of every cell spelled out."""
    cells = [(x, y) for x in range(size) for y in range(size)]
    facts = [f"(free c{x}-{y})" for x, y in cells]
    for x, y in cells:
        for dx, dy, direction in [(1, 0, "right"), (-1, 0, "left"), (0, 1, "down"), (0, -1, "up")]:
            if 0 <= x + dx < size and 0 <= y + dy < size:
                facts.append(f"(next c{x}-{y} c{x + dx}-{y + dy} {direction})")
    names = " ".join(f"c{x}-{y}" for x, y in cells)
    domain = """(define (domain grid) (:types cell direction) (:constants up down left right - direction)
      (:predicates (next ?a ?b - cell ?d - direction) (free ?a - cell) (here ?a - cell))
      (:action go :parameters (?a ?b - cell ?d - direction)
        :precondition (and (here ?a) (next ?a ?b ?d) (free ?b)) :effect (and (here ?b) (not (here ?a)))))"""
    newline = "\n    "
    problem = f"""(define (problem g) (:domain grid) (:objects {names} - cell)
      (:init (here c0-0){newline}{newline.join(facts)}) (:goal (here c0-1)))"""
    return domain, problem


def map_task(rovers: int, places: int, rng: random.Random) -> tuple[str, str]:
    """A Rovers-like task: a map of its own for every vehicle."""
    facts = []
    for rover in range(rovers):
        facts += [
            f"(can-drive r{rover} p{a} p{b})" for a in range(places) for b in rng.sample(range(places), places // 20)
        ]
    facts += [f"(sees p{a} p{b})" for a in range(places) for b in rng.sample(range(places), places // 4)]
    facts += [f"(at r{rover} p0)" for rover in range(rovers)]
    domain = """(define (domain map) (:types rover place)
      (:predicates (can-drive ?r - rover ?a ?b - place) (sees ?a ?b - place) (at ?r - rover ?a - place))
      (:action drive :parameters (?r - rover ?a ?b - place)
        :precondition (and (at ?r ?a) (can-drive ?r ?a ?b) (sees ?a ?b)) :effect (and (at ?r ?b) (not (at ?r ?a)))))"""
    objects = " ".join(f"r{i}" for i in range(rovers)) + " - rover " + " ".join(f"p{i}" for i in range(places))
    newline = "\n    "
    problem = f"""(define (problem m) (:domain map) (:objects {objects} - place)
      (:init {newline.join(facts)}) (:goal (at r0 p0)))"""
    return domain, problem


def ours(problem_text: str, _folder: Path) -> dict[str, Judge]:
    domain = Domain.parse(DOMAIN)
    problem = Problem.parse(problem_text, domain)

    def with_parsing(text: str, _file: Path) -> bool:
        domain = Domain.parse(DOMAIN)
        return validate(domain, Problem.parse(problem_text, domain), text).valid

    return {"parsed once": lambda text, _: validate(domain, problem, text).valid, "with parsing": with_parsing}


def unified_planning(problem_text: str, _folder: Path) -> dict[str, Judge]:
    from unified_planning.engines import SequentialPlanValidator, ValidationResultStatus
    from unified_planning.io import PDDLReader
    from unified_planning.shortcuts import get_environment

    get_environment().credits_stream = None

    def judge(problem: object, text: str) -> bool:
        plan = PDDLReader().parse_plan_string(problem, text)
        return SequentialPlanValidator().validate(problem, plan).status is ValidationResultStatus.VALID

    ready = PDDLReader().parse_problem_string(DOMAIN, problem_text)
    return {
        "parsed once": lambda text, _: judge(ready, text),
        "with parsing": lambda text, _: judge(PDDLReader().parse_problem_string(DOMAIN, problem_text), text),
    }


def pyvalidator(_problem_text: str, folder: Path) -> dict[str, Judge]:
    from pyval import PDDLValidator
    from pyval.plan_simulator import simulate
    from pyval.syntax_checker import check_syntax
    from pyval.validator import _validate_plan_structure

    domain, problem = str(folder / "domain.pddl"), str(folder / "problem.pddl")
    ready = check_syntax(domain, problem)[1]

    def parsed_once(_text: str, file: Path) -> bool:
        _, actions, names = _validate_plan_structure(ready, str(file))
        steps, _, goals, *_ = simulate(ready, actions, names, None)
        return all(step.status != "FAILED" for step in steps) and all(goal.satisfied for goal in goals)

    return {
        "parsed once": parsed_once,
        "with parsing": lambda _, file: PDDLValidator().validate(domain, problem, str(file)).is_valid,
    }


def val(_problem_text: str, folder: Path) -> dict[str, Judge]:
    command = [find_val(), str(folder / "domain.pddl"), str(folder / "problem.pddl")]

    def judge(_text: str, file: Path) -> bool:
        return "Plan valid" in subprocess.run([*command, str(file)], capture_output=True, text=True).stdout

    return {"with parsing": judge}


def installed() -> dict[str, Maker]:
    tools: dict[str, Maker] = {"iterdeploy": ours}
    if importlib.util.find_spec("unified_planning"):
        tools["unified-planning"] = unified_planning
    if importlib.util.find_spec("pyval"):
        tools["pddl-pyvalidator"] = pyvalidator
    try:
        find_val()
        tools["VAL, a process per plan"] = val
    except ValueError as missing:
        print(missing, file=sys.stderr)
    return tools


def measure(tools: dict[str, Maker], length: int, rounds: int, limit: float) -> dict[tuple[str, str], float]:
    """Median milliseconds a plan of every tool and mode, on plans of one length."""
    rng = random.Random(length)
    count = BLOCKS[length]
    problem_text = blocks_problem(count)
    times: dict[tuple[str, str], list[float]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "domain.pddl").write_text(DOMAIN)
        (folder / "problem.pddl").write_text(problem_text)
        sides = {(tool, mode): judge for tool in tools for mode, judge in tools[tool](problem_text, folder).items()}
        for number in range(rounds + 1):
            plans = {folder / f"plan{i}": format_plan(blocks_plan(count, length, rng)) for i in range(BATCH[length])}
            for file, text in plans.items():
                file.write_text(text)
            for side, judge in sides.items():
                spent = times.setdefault(side, [])
                if sum(spent) * BATCH[length] > limit:
                    continue
                begin = time.perf_counter()
                verdicts = [judge(text, file) for file, text in plans.items()]
                spent.append((time.perf_counter() - begin) / BATCH[length])
                if not all(verdicts):
                    print(f"{side} takes a valid plan of {length} steps for invalid", file=sys.stderr)
            if number == 0:  # the first round warms up; a slow tool has no second one
                times = {side: spent if sum(spent) * BATCH[length] > limit else [] for side, spent in times.items()}
    return {side: statistics.median(spent) * 1000 for side, spent in times.items()}


def seconds(action: Callable[[], object]) -> float:
    """The best of three."""
    best = float("inf")
    for _ in range(3):
        begin = time.perf_counter()
        action()
        best = min(best, time.perf_counter() - begin)
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9, help="plans of each length")
    parser.add_argument("--limit", type=float, default=20.0, help="seconds for one tool and length")
    options = parser.parse_args()

    lengths = [10, 100, 1000]
    tools = installed()
    columns = [measure(tools, length, options.rounds, options.limit) for length in lengths]
    print("| tool | task |" + "".join(f" {length} steps, ms | times |" for length in lengths))
    print("|---|---|" + "---:|---:|" * len(lengths))
    for tool, mode in columns[0]:
        cells = []
        for column in columns:
            own = column["iterdeploy", "parsed once"]
            cells += [f"{column[tool, mode]:.3g}", f"{column[tool, mode] / own:.3g}"]
        print(f"| {tool} | {mode} | " + " | ".join(cells) + " |")

    print()
    length = 100_000
    problem_text = blocks_problem(BLOCKS[length])
    plan_text = format_plan(blocks_plan(BLOCKS[length], length, random.Random(length)))
    begin = time.perf_counter()
    domain = Domain.parse(DOMAIN)
    verdict = validate(domain, Problem.parse(problem_text, domain), plan_text)
    print(f"a plan of {len(verdict.plan)} steps, with parsing: {time.perf_counter() - begin:.2f} s ({verdict.status})")
    for what, (domain_text, task_text) in {
        "a Sokoban-like grid of 100 x 100": grid_task(100),
        "a Rovers-like map of 30 rovers and 200 places": map_task(30, 200, random.Random(1)),
    }.items():
        taken = seconds(partial(Problem.parse, task_text, Domain.parse(domain_text)))
        print(f"{what}, {len(task_text):,} characters: parsed in {taken:.2f} s")


if __name__ == "__main__":
    main()
