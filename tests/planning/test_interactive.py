"""Planning one action at a time: what an agent reads, what it does not see, and how its episode is judged."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from helpers.support import config_with, iterdeploy
from iterdeploy import Completion, Observation, Status, Task, Verdict
from iterdeploy.config import RunConfig, TasksConfig
from iterdeploy.pddl import Problem
from iterdeploy.planning.domains import DOMAINS
from iterdeploy.planning.hidden import seen
from iterdeploy.planning.parsed import domain_of, problem_of
from iterdeploy.planning.plans import plan_of
from iterdeploy.planning.taskset import PlanningTasks
from iterdeploy.record.store import TraceStore
from iterdeploy.sections import ConfigError
from iterdeploy.tasks import TaskSet, task_set
from iterdeploy.tasks.environment import Reply, observations_of

TOWER = {"(on ?x ?y)": "(clear ?x)", "(on-table ?x)": "(clear ?x)"}
NEAR = "(exists (?r - location ?d - direction) (and (at-robot ?r) (adjacent ?r {} ?d)))"
FOG = {"(clear ?c)": NEAR.format("?c"), "(at ?b ?c)": NEAR.format("?c")}


def tasks_of(**tasks: Any) -> TaskSet:
    values = {"domains": ["blocksworld"], "sizes": "3", "deployed": 6, "held_out": 2, "interactive": True, **tasks}
    return task_set(config_with({"tasks": values, "sampling.max_turns": 40}))


def replies(tasks: TaskSet, task: Task, actions: Sequence[str]) -> list[Reply]:
    """What is said at the start and to each action, up to the verdict."""
    calls = [Completion(action, (1,), (2, 0), None, "stop", 0) for action in actions]
    said = []
    with tasks.judges() as judges:
        for turn in range(len(calls) + 1):
            (reply,) = judges.replies([(task, calls[:turn])])
            said.append(reply)
            if isinstance(reply, Verdict):
                break
    return said


def plan_for(task: Task) -> list[str]:
    problem = problem_of(task.payload["problem"], task.payload["domain"])
    return [f"({' '.join(step)})" for step in DOMAINS[task.domain].solve(problem)]


@pytest.mark.parametrize("domain", DOMAINS)
def test_the_scripted_plan_action_by_action_is_valid_in_every_domain(domain: str) -> None:
    tasks = tasks_of(domains=[domain], sizes="base")
    for task in tasks.deployed(0)[:3]:
        plan = plan_for(task)
        *observed, verdict = replies(tasks, task, plan)
        assert isinstance(verdict, Verdict) and verdict.status is Status.VALID, verdict.reason
        assert [f"({' '.join(step)})" for step in plan_of(verdict)] == plan
        assert verdict.facts["turns"] == verdict.facts["plan_length"] == len(plan) and verdict.facts["cost_ratio"] == 1
        assert all(isinstance(reply, Observation) for reply in observed)


BLOCKS = """(define (problem three) (:domain blocksworld) (:objects a b c)
  (:init (arm-empty) (clear a) (on a b) (on b c) (on-table c)) (:goal (on-table b)))"""


def by_hand(**tasks: Any) -> tuple[TaskSet, Task]:
    from iterdeploy.planning.make import make_task
    from iterdeploy.types import Split

    values = {"deployed": 1, "held_out": 1, "interactive": True, **tasks}
    config = TasksConfig.model_validate(values)
    task = make_task(DOMAINS["blocksworld"].pddl, BLOCKS, "blocksworld", 3, Split.DEPLOYED, config)
    return PlanningTasks(config, 0, turns=5), task


def test_an_agent_reads_what_changed_and_why_nothing_did() -> None:
    tasks, task = by_hand()
    said = replies(
        tasks, task, ["(unstack b c)", "(unstack a b)", "I pick it up", "(putdown a)\n(unstack b c)", "(fly a)"]
    )
    first, failed, done, none, two, verdict = said
    assert first == Observation()
    assert failed == Observation("failed\n(clear b)\n")
    assert done == Observation("+(clear b)\n+(holding a)\n-(arm-empty)\n-(clear a)\n-(on a b)\n")
    for reply in (none, two):
        assert isinstance(reply, Observation) and reply.text.startswith("unreadable\n")
    assert isinstance(verdict, Verdict) and verdict.status is Status.INVALID
    assert verdict.reason.startswith("not done after 5 turns: goal not reached") and plan_of(verdict) == (
        ("unstack", "a", "b"),
    )
    assert verdict.facts["failed_actions"] == 2 and verdict.facts["unreadable"] == 2
    assert "there is no action fly" in observations_of(verdict)[-1]


def test_who_never_writes_an_action_is_unparseable() -> None:
    tasks, task = by_hand()
    *_, verdict = replies(tasks, task, ["hm"] * 5)
    assert isinstance(verdict, Verdict) and verdict.status is Status.UNPARSEABLE


def test_under_random_names_what_is_read_has_them_too() -> None:
    tasks, task = by_hand(obfuscate=True, prompt="full")
    word = {name: shown for shown, name in json.loads(task.payload["true_names"]).items()}
    *_, wrong, done = replies(tasks, task, [f"({word['unstack']} {word['b']} {word['c']})",
                                            f"({word['unstack']} {word['a']} {word['b']})"])  # fmt: skip
    assert wrong == Observation(f"failed\n({word['clear']} {word['b']})\n")
    assert isinstance(done, Observation) and f"+({word['holding']} {word['a']})\n" in done.text
    assert not {"clear", "holding", "unstack"} & set(done.text.replace("(", " ").replace(")", " ").split())


def test_lower_blocks_are_seen_only_after_unstacking() -> None:
    tasks, task = by_hand(hidden=TOWER)
    assert task.prompt == "blocksworld\nc - object\n(arm-empty)\n(clear a)\n(on a b)\ngoal\n(on-table b)\n"
    _, bare, *_, verdict = replies(tasks, task, ["(unstack a b)", "(putdown a)", "(unstack b c)", "(putdown b)"])
    assert isinstance(bare, Observation) and "+(on b c)\n" in bare.text and "-(on a b)\n" in bare.text
    assert isinstance(verdict, Verdict) and verdict.status is Status.VALID
    assert "+(on-table c)" in observations_of(verdict)[3]


def test_in_fog_a_robot_sees_the_cells_around_it_and_the_planner_everything() -> None:
    tasks = tasks_of(domains=["sokoban"], sizes="6", hidden=FOG)
    for task in tasks.deployed(0):
        problem = problem_of(task.payload["problem"], task.payload["domain"])
        visible = seen(task.payload["domain"], task.payload["problem"], (), FOG)
        (here,) = [atom[1] for atom in problem.init if atom[0] == "at-robot"]
        around = {atom[2] for atom in problem.init if atom[0] == "adjacent" and atom[1] == here}
        assert {atom[-1] for atom in visible if atom[0] in ("clear", "at")} <= around
        assert {atom for atom in visible if atom[0] == "clear"} == {("clear", cell) for cell in around} & problem.init
        assert {atom for atom in problem.init if atom[0] == "adjacent"} <= visible, "the map is known"
        *_, verdict = replies(tasks, task, plan_for(task))
        assert isinstance(verdict, Verdict) and verdict.status is Status.VALID and verdict.facts["cost_ratio"] == 1


def test_a_sensing_action_of_ones_own_domain_shows_what_it_senses(tmp_path: Path) -> None:
    domain = """(define (domain doors) (:predicates (open ?d) (looked ?d) (through))
      (:action look :parameters (?d) :precondition (and) :effect (looked ?d))
      (:action go :parameters (?d) :precondition (open ?d) :effect (through)))"""
    problem = "(define (problem two) (:domain doors) (:objects left right) (:init (open right)) (:goal (through)))"
    (tmp_path / "domain.pddl").write_text(domain)
    (tmp_path / "p1.pddl").write_text(problem)
    tasks = task_set(config_with({"tasks": {
        "kind": "pddl", "domain_file": str(tmp_path / "domain.pddl"), "problem_files": str(tmp_path / "p*.pddl"),
        "interactive": True, "hidden": {"(open ?d)": "(looked ?d)"},
    }}))  # fmt: skip
    (task,) = tasks.deployed(0)
    assert "open" not in task.prompt and "right - object" in task.prompt
    _, left, right, verdict = replies(tasks, task, ["(look left)", "(look right)", "(go right)"])
    assert left == Observation("+(looked left)\n") and right == Observation("+(looked right)\n+(open right)\n")
    assert isinstance(verdict, Verdict) and verdict.status is Status.VALID


@pytest.mark.parametrize(
    ("tasks", "words"),
    [
        ({"hidden": {"(under ?x)": "(clear ?x)"}}, "no predicate under"),
        ({"hidden": {"(on ?x)": "(clear ?x)"}}, "on takes 2 variables"),
        ({"hidden": {"(on ?x ?y)": "(bright ?x)"}}, "bright"),
        ({"hidden": {"(on ?x ?y)": "(clear ?z)"}}, r"\?z"),
        ({"hidden": {"on": "clear"}}, "a rule reads like"),
        ({"hidden": TOWER, "interactive": False}, "needs tasks.interactive"),
        ({"hidden": TOWER, "obfuscate": True}, "cannot be used with tasks.obfuscate"),
    ],
)
def test_rules_that_cannot_be_followed_are_refused(tasks: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        tasks_of(**tasks)


def test_the_full_prompt_tells_how_to_act_and_what_is_hidden() -> None:
    _, task = by_hand(prompt="full", hidden=TOWER)
    assert "one action" in task.prompt and "(on ?x ?y) is seen only while (clear ?x)" in task.prompt
    assert "(on b c)" not in task.prompt and "(on a b)" in task.prompt and "(:action unstack" in task.prompt
    _, open_task = by_hand(prompt="full")
    assert "seen" not in open_task.prompt and "(on b c)" in open_task.prompt and "[[" not in open_task.prompt


def test_an_interactive_problem_can_be_parsed_as_it_is_stored() -> None:
    _, task = by_hand(hidden=TOWER)
    assert Problem.parse(task.payload["problem"], domain_of(task.payload["domain"])).name == "three"
    assert json.loads(task.payload["hidden"]) == TOWER


@pytest.mark.slow
@pytest.mark.parametrize("name", ["agent", "hidden-state"])
def test_the_smoke_configuration_runs(name: str, tmp_path: Path) -> None:
    done = iterdeploy("run", f"smoke/{name}", "--runs-dir", tmp_path, "--name", "smoke", "--set", "generations=0")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "smoke" / "report.html").is_file()
    store = TraceStore(tmp_path / "smoke" / "traces.sqlite", read_only=True)
    traces = list(store.traces())
    store.close()
    assert max(trace.totals.calls for trace in traces) > 1
    assert all(observations_of(trace.verdict) for trace in traces)


def test_turns_of_interactive_tasks_are_those_of_the_configuration() -> None:
    config: RunConfig = config_with({"tasks.interactive": True, "sampling.max_turns": 7})
    with task_set(config).judges() as judges:
        assert judges.turns == 7
