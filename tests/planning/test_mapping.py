"""Names from elsewhere onto those that the models know, by the structure of the domain, and plans back again."""

import json
import re
import tarfile
from pathlib import Path

import pytest

from helpers.support import shared, values_with
from iterdeploy.config import RunConfig
from iterdeploy.pddl import Domain, Problem, validate_steps
from iterdeploy.planning import prompts
from iterdeploy.planning.domains import DOMAINS
from iterdeploy.planning.mapping import mapped, match
from iterdeploy.planning.obfuscate import disguise, uncover
from iterdeploy.planning.plans import plan_of
from iterdeploy.planning.prompts import answer
from iterdeploy.planning.rng import Rng
from iterdeploy.sections import ConfigError
from iterdeploy.tasks import task_set
from iterdeploy.types import Completion, Status

PLANBENCH = shared("planbench", "planbench-blocksworld.tar.xz")
LETTERS = """(define (domain blocks-of-others)
  (:predicates (ontable ?x) (top ?x) (free) (held ?x) (over ?x ?y))
  (:action release :parameters (?b) :precondition (held ?b)
    :effect (and (top ?b) (free) (ontable ?b) (not (held ?b))))
  (:action grasp :parameters (?b) :precondition (and (top ?b) (ontable ?b) (free))
    :effect (and (held ?b) (not (top ?b)) (not (ontable ?b)) (not (free))))
  (:action lift :parameters (?b ?c) :precondition (and (over ?b ?c) (top ?b) (free))
    :effect (and (held ?b) (top ?c) (not (over ?b ?c)) (not (top ?b)) (not (free))))
  (:action drop :parameters (?b ?c) :precondition (and (top ?c) (held ?b))
    :effect (and (free) (top ?b) (over ?b ?c) (not (top ?c)) (not (held ?b)))))"""
THREE = """(define (problem three) (:domain blocks-of-others) (:objects a b free)
  (:init (top a) (ontable free) (over b free) (free) (over a b)) (:goal (and (over free a) (top b))))"""


@pytest.mark.parametrize("name", [name for name, domain in DOMAINS.items() if not domain.numeric])
def test_a_domain_of_ours_is_known_under_any_names(name: str) -> None:
    ours = DOMAINS[name]
    text = ours.generate(ours.smallest + 2, Rng("mapping", name), "p")
    hidden = disguise(ours.pddl, text)
    constants = Domain.parse(ours.pddl).constants
    table = {word: true for word, true in hidden.true_names.items() if true in constants}
    shown = mapped(hidden.domain, hidden.problem, table)
    problem = Problem.parse(shown.problem, Domain.parse(shown.domain))
    plan = uncover(ours.solve(problem), shown.true_names)
    theirs = Domain.parse(hidden.domain)
    assert validate_steps(theirs, Problem.parse(hidden.problem, theirs), plan).valid
    if constants:
        with pytest.raises(ConfigError, match=r"tasks\.names.*\[tasks\.names\]"):
            match(theirs, {})


def test_order_of_facts_and_the_meaning_of_each_word_stay() -> None:
    shown = mapped(LETTERS, THREE, {})
    problem = Problem.parse(shown.problem, Domain.parse(shown.domain))
    known = {true: word for word, true in shown.true_names.items()}
    a, b, c = (known[name] for name in ("a", "b", "free"))
    assert problem.init_list == (("clear", a), ("on-table", c), ("on", b, c), ("arm-empty",), ("on", a, b))
    assert problem.goal_atoms() == [("on", c, a), ("clear", b)]
    assert all(re.fullmatch(r"b\d+", name) for name in (a, b, c))
    assert {true: word for word, true in shown.true_names.items() if word in Domain.parse(shown.domain).actions} == {
        "release": "putdown", "grasp": "pickup", "lift": "unstack", "drop": "stack"
    }  # fmt: skip
    others = {mapped(LETTERS, f"{THREE} ; {i}", {}).problem for i in range(5)}
    assert len(others) == 5, "objects are drawn by the content"


@pytest.mark.parametrize(
    ("old", "new", "table", "says"),
    [
        ("(not (top ?c)) ", "", {}, "none of"),
        ("(:action drop :parameters (?b ?c)", "(:action drop :parameters (?c ?b)", {}, "none of"),
        ("(top ?c) (held ?b))", "(or (top ?c) (held ?b)))", {}, "none of"),
        ("", "", {"lifted": "unstack"}, "lifted"),
        ("", "", {"lift": "pick"}, "pick"),
        ("", "", {"lift": "stack"}, "none of"),
    ],
    ids=["an effect less", "arguments swapped", "no conjunction", "unknown", "unknown to us", "wrong table"],
)
def test_a_domain_that_says_something_else_is_refused(old: str, new: str, table: dict[str, str], says: str) -> None:
    with pytest.raises(ConfigError, match=rf"tasks\.names.*{says}"):
        match(Domain.parse(LETTERS.replace(old, new, 1)), table)


def test_a_goal_that_is_more_than_facts_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"three.*\(not \(top b\)\)"):
        mapped(LETTERS, THREE.replace("(top b)", "(not (top b))"), {})


def test_sokoban_cells_of_any_name_are_placed_by_their_directions() -> None:
    ours = DOMAINS["sokoban"]
    domain = Domain.parse(ours.pddl)
    text = ours.generate(7, Rng("cells"), "p")
    other = re.sub(r"loc_(\d+)_(\d+)", lambda cell: f"c{int(cell[1]) * 31 + int(cell[2])}", text)
    other = other.replace("(:init", "(:init (clear c999)").replace(" - location", " c999 - location")
    shown = mapped(ours.pddl, other, {})
    before, after = (
        prompts.compact(ours, Problem.parse(problem, domain)).splitlines() for problem in (text, shown.problem)
    )
    assert [len(line.split()) for line in before] == [len(line.split()) for line in after]
    plan = uncover(ours.solve(Problem.parse(shown.problem, domain)), shown.true_names)
    assert validate_steps(domain, Problem.parse(other, domain), plan).valid
    with pytest.raises(ConfigError, match=r"two places|one place"):
        mapped(ours.pddl, other.replace("right)", "up)"), {})


def planbench(folder: Path) -> list[Path]:
    if not PLANBENCH.exists():
        return []
    with tarfile.open(PLANBENCH) as archive:
        archive.extractall(folder, filter="data")
    return sorted(folder.glob("generated*.pddl"))


def test_files_from_elsewhere_are_tasks_in_known_names_and_judged_by_their_own(tmp_path: Path) -> None:
    (tmp_path / "domain.pddl").write_text(LETTERS)
    files = planbench(tmp_path)[:40] or [tmp_path / "p1.pddl"]
    if files == [tmp_path / "p1.pddl"]:
        files[0].write_text(THREE)
    values = values_with({})
    own = {"kind": "pddl", "domain_file": str(tmp_path / "domain.pddl"), "names": "known"}
    pattern = str(tmp_path / ("generated_basic-1*.pddl" if len(files) > 1 else "p*.pddl"))
    tasks = task_set(RunConfig.model_validate({**values, "tasks": {**own, "problem_files": pattern}}))
    ours = DOMAINS["blocksworld"]
    for task in tasks.deployed(0):
        assert (
            task.prompt.startswith("blocksworld\n") and task.payload["domain"] == (tmp_path / "domain.pddl").read_text()
        )
        shown = mapped(task.payload["domain"], task.payload["problem"], {})
        plan = ours.solve(Problem.parse(shown.problem, Domain.parse(shown.domain)))
        said = Completion(answer([["hm"]], plan), (1,), (2, 0), None, "stop", 0)
        verdict = tasks.judge(task, [said])
        assert verdict.status is Status.VALID, verdict
        assert plan_of(verdict) == uncover(plan, json.loads(task.payload["true_names"])) != tuple(plan)


@pytest.mark.parametrize(
    "tasks",
    [
        {"kind": "planning", "names": "known"},
        {"names": "known", "obfuscate": True},
        {"names": "known", "prompt": "full"},
    ],
    ids=["generated tasks", "obfuscated", "full prompts"],
)
def test_known_names_where_they_mean_nothing_are_refused(tmp_path: Path, tasks: dict[str, object]) -> None:
    (tmp_path / "domain.pddl").write_text(LETTERS)
    (tmp_path / "p.pddl").write_text(THREE)
    values = values_with({})
    own = {"kind": "pddl", "domain_file": str(tmp_path / "domain.pddl"), "problem_files": str(tmp_path / "p.pddl")}
    made = values["tasks"] if tasks.get("kind") else own
    with pytest.raises(ConfigError, match=r"tasks\.names"):
        task_set(RunConfig.model_validate({**values, "tasks": {**made, **tasks}}))
