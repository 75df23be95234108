"""What a page plays is what the validator computed; which traces a report holds; and how they travel."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from helpers.playing import GENERATIONS, answers, make_run, obfuscated_answer, plan_of, task, tasks, trace
from iterdeploy.pddl import Domain, Problem, states
from iterdeploy.planning.domains import DOMAINS
from iterdeploy.planning.prompts import answer
from iterdeploy.record.run_dir import RunDir
from iterdeploy.report.facts import playback, records
from iterdeploy.report.facts import sample as sample_module
from iterdeploy.report.facts.playback import Moves, Scene, moves_of, scene_of
from iterdeploy.types import Split, Task

STEP = tuple[str, ...]


def scene(one: Task) -> Scene:
    found = scene_of(one.payload)
    assert isinstance(found, Scene)
    return found


def replayed(found: Scene, moves: Moves) -> list[set[str]]:
    """The states that a page shows: sets of facts that change."""
    facts = [*found.facts, *moves.facts]
    state = set(facts[: found.start])
    seen = [set(state)]
    for added, removed in moves.steps:
        gone, new = {facts[number] for number in removed}, {facts[number] for number in added}
        assert gone <= state and not new & state, "a step states what it changes, and nothing else"
        state = (state - gone) | new
        seen.append(set(state))
    return seen


def computed(one: Task, plan: Sequence[STEP], fixed: set[str]) -> list[set[str]]:
    """The same from the validator."""
    domain = Domain.parse(one.payload["domain"])
    problem = Problem.parse(one.payload["problem"], domain)
    return [{" ".join(atom) for atom in state} - fixed for state in states(domain, problem, plan)]


@pytest.mark.parametrize("domain", sorted(DOMAINS))
def test_the_states_played_are_the_validator_s(domain: str) -> None:
    one = task(domain, max(3, DOMAINS[domain].smallest), Split.DEPLOYED)
    plan = plan_of(one)
    found = scene(one)
    moves = moves_of(one.payload, found, plan)
    everything = [*found.facts, *moves.facts]
    assert len(set(everything)) == len(everything), "each fact is stated once"
    assert found.fixed_in_all == len(found.fixed) and not set(found.fixed) & set(everything)
    facts = [{fact for fact in state if " = " not in fact} for state in replayed(found, moves)]
    assert facts == computed(one, plan, set(found.fixed))
    assert moves.failed is None and not moves.unmet and not moves.not_played
    assert {everything[number] for number in found.goal} <= replayed(found, moves)[-1]


def test_it_ends_before_the_step_that_cannot_be_taken() -> None:
    one = task("blocksworld", 4, Split.DEPLOYED)
    plan = plan_of(one)
    twice = [*plan[:3], plan[2], *plan[3:]]
    moves = moves_of(one.payload, scene(one), twice)
    assert moves.failed == 4 and len(moves.steps) == 3 and moves.unmet and not moves.not_played
    assert replayed(scene(one), moves) == computed(one, plan[:3], set())
    judged = trace(one, 0, answer([], twice)).verdict
    assert judged.facts["failed_step"] == 4 and all(part in judged.reason for part in moves.unmet)


@pytest.mark.parametrize("step", [("dance", "b1"), ("pickup",), ("pickup", "nobody"), ("?stack", "?b1", "b2")])
def test_a_step_that_the_task_does_not_have(step: STEP) -> None:
    one = task("blocksworld", 4, Split.DEPLOYED)
    moves = moves_of(one.payload, scene(one), [step])
    assert moves.failed == 1 and moves.steps == [] and moves.unmet == []


def test_a_plan_that_stops_short_says_what_the_goal_misses() -> None:
    one = task("ferry", 3, Split.DEPLOYED)
    moves = moves_of(one.payload, scene(one), plan_of(one)[:-1])
    assert moves.failed is None and len(moves.unmet) == 1 and moves.unmet[0].startswith("(at ")


LAMPS = """(define (domain lamps) (:types lamp) (:predicates (lit ?x - lamp) (wired ?x - lamp) (dark))
  (:action on :parameters (?x - lamp) :precondition (wired ?x)
    :effect (and (lit ?x) (when (dark) (not (dark))) (forall (?y - lamp) (when (lit ?y) (not (lit ?y)))))))"""


def lamps(count: int, goal: str) -> dict[str, str]:
    names = " ".join(f"l{i}" for i in range(count))
    wired = " ".join(f"(wired l{i})" for i in range(count))
    text = f"(define (problem p) (:domain lamps) (:objects {names} - lamp) (:init (dark) {wired}) (:goal {goal}))"
    return {"domain": LAMPS, "problem": text}


def test_conditional_effects_and_goals_that_are_not_facts() -> None:
    payload = lamps(2, "(and (lit l1) (not (lit l0)) (wired l0) (exists (?x - lamp) (lit ?x)))")
    found = scene_of(payload)
    assert isinstance(found, Scene)
    assert (found.facts, found.start, found.goal) == (["dark", "lit l1"], 1, [1])
    assert found.other_goals == ["(not (lit l0))", "(wired l0)", "(exists (?x - lamp) (lit ?x))"]
    assert found.fixed == ["wired l0", "wired l1"]
    moves = moves_of(payload, found, [("on", "l0"), ("on", "l1")])
    assert replayed(found, moves) == [{"dark"}, {"lit l0"}, {"lit l1"}]


def test_what_is_too_much_is_left_out_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(playback, "MOST_STEPS", 3)
    monkeypatch.setattr(playback, "MOST_FIXED", 4)
    payload = lamps(6, "(lit l5)")
    found = scene_of(payload)
    assert isinstance(found, Scene) and len(found.fixed) == 4 and found.fixed_in_all == 6
    moves = moves_of(payload, found, [("on", f"l{i % 2}") for i in range(10)])
    assert len(moves.steps) == 3 and moves.not_played == 7 and moves.failed is None
    monkeypatch.setattr(playback, "MOST_FACTS", 0)
    assert scene_of(payload) == "The task has 1 facts that change; up to 0 are played."


def test_a_task_that_cannot_be_played() -> None:
    assert scene_of({}) == ""  # a task of another kind: no words either
    assert "cannot be read" in str(scene_of({"domain": "(define", "problem": ""}))


def test_an_obfuscated_plan_is_shown_in_both_kinds_of_names() -> None:
    one = task("blocksworld", 4, Split.DEPLOYED, obfuscate=True)
    given = obfuscated_answer(one)
    record = records.opened(given, one, scene(one), 100_000)
    assert [tuple(step) for step in record["plan"]] == plan_of(one)
    assert all(" ".join(words) in given.completions[0].text for words in record["said"])
    recalled = trace(one, 0, answer([], plan_of(one)))  # true names, which the model never read
    assert recalled.verdict.answer[0][0].startswith("?")
    assert [tuple(words) for words in records.opened(recalled, one, scene(one), 9)["said"]] == plan_of(one)


def test_a_long_text_is_cut_and_its_length_given() -> None:
    one = task("blocksworld", 4, Split.DEPLOYED)
    record = records.opened(trace(one, 0, "x" * 1000), one, scene(one), 100)
    assert record["text"] == "x" * 100 and record["left_out"] == 900
    asked = records.asked(one, scene(one), 5)
    assert asked["prompt"] == one.prompt[:5] and asked["left_out"] == len(one.prompt) - 5
    assert records.asked(one, scene(one), 10_000)["left_out"] == 0


def test_hostile_text_travels_as_ascii_that_html_cannot_misread() -> None:
    hostile = "</script><!--&\u2028\u2029\ud800\x00\u202e\"'\\"
    sent = records.page_json({"a": hostile})
    assert not set("<>&\u2028\u2029\ud800\x00\u202e") & set(sent) and sent.isascii()
    assert json.loads(sent) == {"a": hostile}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with 12 tasks and more than two answers to each in every generation."""
    path = tmp_path_factory.mktemp("playback") / "run"
    make_run(path, tasks(), {generation: answers(tasks(), generation) for generation in range(GENERATIONS)})
    return path


def chosen(folder: Path, generations: int = GENERATIONS) -> sample_module.Sample:
    run_dir = RunDir.read(folder)
    pools = {g: pool for g in range(generations + 1) if (pool := run_dir.pool(g - 1)) is not None}
    sample = sample_module.choose(run_dir.store, min(generations, len(run_dir.metrics())), pools)
    run_dir.close()
    return sample


def test_a_small_run_is_in_its_report_whole_and_in_order(folder: Path) -> None:
    sample = chosen(folder)
    assert len(sample.traces) == sample.total == GENERATIONS * 2 * 12 + GENERATIONS
    rows = [one["row"] for one in sample.traces]
    assert rows == sorted(rows) and {one["task"] for one in sample.traces} == set(sample.tasks)
    assert all(one["moves"] for one in sample.traces if one["plan"])


def test_a_sample_holds_every_kind_every_pool_and_whole_tasks(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sample_module, "MOST_TRACES", 40)
    monkeypatch.setattr(sample_module, "SAME_TASK_TRACES", 28)
    whole = chosen(folder, generations=GENERATIONS)
    sample = chosen(folder)
    assert sample == whole and len(sample.traces) < sample.total
    run_dir = RunDir.read(folder)
    everything = list(run_dir.store.traces())
    by_task = {one.id: list(run_dir.store.listed_of_task(one.id)) for one in run_dir.store.tasks()}
    run_dir.close()
    shown = {one["id"] for one in sample.traces}

    def kinds(ids: set[str]) -> set[tuple[int, str, str]]:
        return {(one.generation, one.verdict.status, one.domain) for one in everything if one.id in ids}

    assert kinds(shown) == kinds({one.id for one in everything})
    assert {generation for one in sample.traces for generation in one["trained"]} == {1, 2}
    in_full = [found for found in by_task.values() if {one.id for one in found} <= shown]
    assert len({one[0].domain for one in in_full}) >= 2
    assert {one.generation for one in in_full[0]} == set(range(GENERATIONS))


def test_a_sample_knows_only_what_was_measured(folder: Path) -> None:
    sample = chosen(folder, generations=1)
    assert {one["generation"] for one in sample.traces} == {0} and sample.total == 25


def test_a_sample_keeps_within_its_bytes(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sample_module, "MOST_BYTES", 60_000)
    sample = chosen(folder)
    assert 0 < len(sample.traces) < sample.total
    size = len(records.page_json(sample.traces)) + len(records.page_json(sample.tasks))
    assert 30_000 < size < 66_000


def test_values_that_change_are_facts() -> None:
    one = task("tanks", 3, Split.DEPLOYED)
    shown = scene(one)
    levels = [fact for fact in shown.facts if fact.startswith("level ")]
    assert len(levels) == 3 and shown.start == len(shown.facts) == 3
    assert shown.other_goals and all(goal.startswith("(= (level ") for goal in shown.other_goals)
    plan = plan_of(one)
    moves = moves_of(one.payload, shown, plan)
    assert [(len(added), len(removed)) for added, removed in moves.steps] == [(2, 2)] * len(plan)
    numbers = [*shown.facts, *moves.facts]
    _, start, end = plan[0]
    added, removed = moves.steps[0]
    assert sorted(numbers[fact].split(" = ")[0] for fact in added) == sorted([f"level {start}", f"level {end}"])
    assert {numbers[fact] for fact in removed} <= set(levels)
