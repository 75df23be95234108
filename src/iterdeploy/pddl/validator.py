"""Judges plans. A problem is made ready on its first plan; every further one costs microseconds a step."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from weakref import WeakKeyDictionary

from iterdeploy.pddl.model import Domain, GroundAtom, Problem
from iterdeploy.pddl.numbers import plain
from iterdeploy.pddl.plan import PlanSyntaxError, Step, format_step, parse_plan
from iterdeploy.pddl.reader import NotSupported, PddlError, short
from iterdeploy.pddl.state import StepError
from iterdeploy.pddl.task import Task


class Status(StrEnum):
    VALID = "valid"
    INVALID = "invalid"
    UNPARSEABLE = "unparseable"
    """The text is not a plan."""
    ERROR = "error"
    """No verdict could be had: an oracle failed, or two validators disagree."""


@dataclass(frozen=True, slots=True)
class Verdict:
    status: Status
    reason: str
    """For a person to read; empty where the plan is valid."""
    failed_step: int | None = None
    """Counted from 1; None where the steps are all right and the goal is not reached."""
    unmet: tuple[str, ...] = ()
    """Every part of the failed precondition, or of the goal, that does not hold: PDDL text."""
    plan: tuple[Step, ...] = ()
    cost: int | float | None = None
    """Of a valid plan: the value of the problem's metric, else its total-cost, else its number of steps.

    None too where the metric reads a function that has no value."""

    @property
    def valid(self) -> bool:
        return self.status is Status.VALID


def validate(domain: Domain, problem: Problem, plan_text: str) -> Verdict:
    """The verdict on the text of a plan file."""
    try:
        steps = parse_plan(plan_text)
    except PlanSyntaxError as error:
        return Verdict(Status.UNPARSEABLE, str(error))
    return validate_steps(domain, problem, steps)


def validate_steps(domain: Domain, problem: Problem, steps: Sequence[Step]) -> Verdict:
    """The verdict on a plan of lower-case names."""
    try:
        return _judged(domain, problem, steps)
    except NotSupported as error:  # numbers that grow without end
        return Verdict(Status.ERROR, str(error), plan=tuple(steps))


def _judged(domain: Domain, problem: Problem, steps: Sequence[Step]) -> Verdict:
    task = task_of(domain, problem)
    plan = tuple(steps)
    state = task.begin()
    for number, step in enumerate(plan, 1):
        try:
            taken = task.take(step, state)
        except StepError as error:
            return _failed(plan, number, str(error), ())
        if not taken:
            unmet = task.unmet(domain.actions[step[0]].precondition, step[1:], state)
            return _failed(plan, number, f"precondition{'s' * (len(unmet) > 1)} {_listed(unmet)}", unmet)
    try:
        reached, why = task.reached(state), ""
    except StepError as error:
        reached, why = False, f" ({error})"
    if not reached:
        unmet = task.unmet(task.goal, (), state)
        return Verdict(Status.INVALID, f"goal not reached: {_listed(unmet)}{why}", None, unmet, plan)
    cost = task.cost(state, len(plan))
    return Verdict(Status.VALID, "", plan=plan, cost=None if cost is None else plain(cost))


def states(domain: Domain, problem: Problem, steps: Iterable[Step]) -> Iterator[frozenset[GroundAtom]]:
    """The facts at the start and after each step, derived ones left out; `PddlError` at a step that cannot be taken."""
    task = task_of(domain, problem)
    state = task.begin()
    yield task.static | state
    for number, step in enumerate(steps, 1):
        try:
            taken = task.take(step, state)
        except StepError as error:
            raise PddlError(f"step {number} {short(format_step(step))}: {error}") from None
        if not taken:
            raise PddlError(f"step {number} {short(format_step(step))}: its precondition does not hold")
        yield task.static | state


_tasks: WeakKeyDictionary[Problem, Task] = WeakKeyDictionary()


def task_of(domain: Domain, problem: Problem) -> Task:
    """The problem made ready, kept as long as the problem itself is in use."""
    task = _tasks.get(problem)
    if task is None or task.domain is not domain:
        task = _tasks[problem] = Task(domain, problem)
    return task


def _failed(plan: tuple[Step, ...], number: int, reason: str, unmet: tuple[str, ...]) -> Verdict:
    step = short(format_step(plan[number - 1]), 120)
    return Verdict(Status.INVALID, f"step {number} {step}: {short(reason, 400)}", number, unmet, plan)


def _listed(unmet: Sequence[str]) -> str:
    shown = [short(part, 120) for part in unmet[:3]]
    if len(unmet) > 3:
        shown.append(f"{len(unmet) - 3} more")
    return f"{', '.join(shown)} {'does' if len(unmet) == 1 else 'do'} not hold"
