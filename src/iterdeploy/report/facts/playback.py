"""A plan as the validator carries it out, small enough for a page: the facts at the start, then what each step changes.

A `Scene` belongs to a task and is shared by all answers to it; `Moves` belong to one answer. A fact is written out
once, as `on b1 b2`, and is a number from then on: its place in the scene's facts followed by the moves' own. Facts of
predicates that no action changes stand apart, and only some of them: a page that shows states needs few of them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from iterdeploy.pddl import Domain, PddlError, Problem
from iterdeploy.pddl.conditions import Atom, Condition, conjuncts, show, show_number
from iterdeploy.pddl.state import State, StepError
from iterdeploy.pddl.task import TOTAL_COST, Task
from iterdeploy.pddl.validator import task_of
from iterdeploy.planning.parsed import domain_of, problem_of

MOST_FACTS = 4_000
"""A task with more facts that change is not played."""
MOST_FIXED = 400
"""Facts that no action changes, of those that are there."""
MOST_STEPS = 1_000
"""Steps of a plan that are played."""

Step = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Scene:
    facts: list[str]
    """Each once: those that hold at the start, then those of the goal that do not."""
    start: int
    """How many of them hold at the start."""
    goal: list[int]
    """The facts that the goal asks for, of those that actions change."""
    other_goals: list[str]
    """What else it asks for, as PDDL text."""
    fixed: list[str]
    fixed_in_all: int


@dataclass(frozen=True, slots=True)
class Moves:
    facts: list[str]
    """Facts that the scene does not have, numbered on from its last."""
    steps: list[tuple[list[int], list[int]]]
    """Of each step that could be taken, the facts that it added and those that it removed."""
    failed: int | None
    """The first step that could not be taken, counted from 1."""
    unmet: list[str]
    """What does not hold, of that step's precondition or else of the goal, as PDDL text."""
    not_played: int
    """Steps beyond the last that is played."""


def scene_of(payload: Mapping[str, str]) -> Scene | str:
    """The scene of a task, or in words why it has none; no words for a task without PDDL."""
    read = _read(payload)
    if isinstance(read, str):
        return read
    domain, problem = read
    task = task_of(domain, problem)
    if len(task.start) > MOST_FACTS:
        return f"The task has {len(task.start):,} facts that change; up to {MOST_FACTS:,} are played."
    facts = [_text(atom) for atom in dict.fromkeys(problem.init_list) if atom in task.start]
    facts += [_text(fact) for fact in _values(task.begin())]
    fixed = [_text(atom) for atom in dict.fromkeys(problem.init_list) if atom in task.static]
    start = len(facts)
    numbers = {fact: number for number, fact in enumerate(facts)}
    goal: list[int] = []
    others: list[str] = []
    for part in conjuncts(problem.goal):
        if isinstance(part, Atom) and part.predicate in task.fluents:
            goal.append(numbers.setdefault(show(part)[1:-1], len(numbers)))
        else:
            others.append(show(part))
    return Scene(list(numbers), start, goal, others, fixed[:MOST_FIXED], len(fixed))


def moves_of(payload: Mapping[str, str], scene: Scene, plan: Sequence[Step]) -> Moves:
    """What the validator's own transition makes of the plan, up to the step that cannot be taken."""
    read = _read(payload)
    assert not isinstance(read, str), "a task with a scene can be read"
    domain, problem = read
    task = task_of(domain, problem)
    numbers = {fact: number for number, fact in enumerate(scene.facts)}
    state = task.begin()
    steps: list[tuple[list[int], list[int]]] = []
    for number, step in enumerate(plan[:MOST_STEPS], 1):
        before = {*state, *_values(state)}
        try:
            taken = task.take(step, state)
        except (StepError, PddlError):
            return _moves(scene, numbers, steps, number, [])
        if not taken:
            precondition = domain.actions[step[0]].precondition
            return _moves(scene, numbers, steps, number, _unmet(task, precondition, step[1:], state))
        after = {*state, *_values(state)}
        added, removed = sorted(after - before), sorted(before - after)
        steps.append(
            (
                [numbers.setdefault(_text(atom), len(numbers)) for atom in added],
                [numbers.setdefault(_text(atom), len(numbers)) for atom in removed],
            )
        )
    not_played = len(plan) - len(steps)
    return _moves(scene, numbers, steps, None, [] if not_played else _unmet(task, task.goal, (), state), not_played)


def _moves(
    scene: Scene,
    numbers: Mapping[str, int],
    steps: list[tuple[list[int], list[int]]],
    failed: int | None,
    unmet: list[str],
    not_played: int = 0,
) -> Moves:
    return Moves(list(numbers)[len(scene.facts) :], steps, failed, unmet, not_played)


def _unmet(task: Task, condition: Condition, row: tuple[str, ...], state: State) -> list[str]:
    return list(task.unmet(condition, row, state))


def _read(payload: Mapping[str, str]) -> tuple[Domain, Problem] | str:
    if "domain" not in payload or "problem" not in payload:
        return ""
    try:
        return domain_of(payload["domain"]), problem_of(payload["problem"], payload["domain"])
    except PddlError as error:
        return f"The task's PDDL cannot be read: {error}"


def _values(state: State) -> list[Step]:
    """The functions that actions change, as facts such as (level, t1, =, 0.5); not what the plan has cost so far."""
    return [(*key, "=", show_number(value)) for key, value in state.values.items() if key != TOTAL_COST]


def _text(atom: Step) -> str:
    return " ".join(atom)
