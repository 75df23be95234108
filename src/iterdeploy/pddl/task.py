"""A domain and a problem made ready to judge plans: tests become closures, ground actions are made once and kept.

Atoms of predicates that no action changes ("static") are no part of the state. Whatever part of a precondition speaks
only of them is settled when an action is first met with given objects, so the state stays small and a known step of a
STRIPS plan costs four set operations. Quantifiers are never expanded: they run over the objects with an early exit.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product

from iterdeploy.pddl.conditions import (
    And,
    Atom,
    Condition,
    Effect,
    Equal,
    Exists,
    Forall,
    Imply,
    Not,
    Number,
    Or,
    Term,
    TypedName,
    conjuncts,
    show,
)
from iterdeploy.pddl.model import Action, Domain, GroundAtom, Problem
from iterdeploy.pddl.plan import Step

State = set[GroundAtom]
Row = tuple[str, ...]
"""The objects in the slots of a condition."""
Test = Callable[[Row, State], bool]

_KEPT = 50_000
"""Ground actions kept at most, of about a kilobyte each, so that no stream of nonsense fills the memory."""

_NEVER: frozenset[GroundAtom] = frozenset({()})
"""A precondition that no state meets."""


class StepError(ValueError):
    """A step that is no action of the task at all; the message says why."""


@dataclass(slots=True)
class Change:
    """What one step does, gathered before anything is changed."""

    adds: State
    deletes: State
    cost: Number


@dataclass(frozen=True, slots=True)
class GroundAction:
    needs: frozenset[GroundAtom]
    forbids: frozenset[GroundAtom]
    deletes: frozenset[GroundAtom]
    adds: frozenset[GroundAtom]
    cost: Number
    schema: "Schema | None"
    """Only where conditions or effects remain to be looked at in each state."""


class Schema:
    """One action of the domain, compiled for one problem."""

    def __init__(self, action: Action, task: "Task") -> None:
        self.task = task
        self.action = action
        self.allowed = [dict.fromkeys(task.choices(parameter)) for parameter in action.parameters]
        self.needs: list[Atom] = []
        self.forbids: list[Atom] = []
        self.settled: list[Test] = []
        self.tests: list[Test] = []
        for part in conjuncts(action.precondition):
            if task.is_static(part):
                self.settled.append(task.compile(part))
            elif isinstance(part, Atom):
                self.needs.append(part)
            elif isinstance(part, Not) and isinstance(part.part, Atom):
                self.forbids.append(part.part)
            else:
                self.tests.append(task.compile(part))
        self.effects = [task.compile_effect(effect) for effect in action.effects[1:]]

    def ground(self, step: Step) -> GroundAction:
        """The action with the objects of a step; `StepError` where it does not take them."""
        row = step[1:]
        if len(row) != len(self.allowed):
            raise StepError(f"{self.action.name} takes {len(self.allowed)} objects, not {len(row)}: {self.action}")
        for name, allowed, parameter in zip(row, self.allowed, self.action.parameters, strict=True):
            if name not in allowed:
                kind = self.task.objects.get(name)
                if kind is None:
                    raise StepError(f"{name} is not an object of this problem")
                raise StepError(f"{name} is of type {kind}, but {parameter.name} must be {parameter.type_text}")
        always = self.action.effects[0]
        possible = all([test(row, set()) for test in self.settled])
        return GroundAction(
            needs=frozenset([fill(atom, row) for atom in self.needs]) if possible else _NEVER,
            forbids=frozenset([fill(atom, row) for atom in self.forbids]),
            deletes=frozenset([fill(atom, row) for atom in always.deletes]),
            adds=frozenset([fill(atom, row) for atom in always.adds]),
            cost=sum([self.task.cost(term, row) for term in always.costs]),
            schema=self if self.tests or self.effects else None,
        )


class Task:
    """Judges the plans of one problem. Keeps no reference to the `Problem`, see `validator.task_of`."""

    def __init__(self, domain: Domain, problem: Problem) -> None:
        self.domain = domain
        self.objects = problem.objects
        self.members = problem.members
        self.values = problem.values
        self.goal = problem.goal
        effects = [effect for action in domain.actions.values() for effect in action.effects]
        self.has_costs = any([effect.costs for effect in effects])
        self.fluents = {atom.predicate for effect in effects for atom in (*effect.adds, *effect.deletes)}
        self.start = frozenset([atom for atom in problem.init if atom[0] in self.fluents])
        self.static = problem.init - self.start
        self.goal_test = self.compile(problem.goal)
        self._schemas: dict[str, Schema] = {}
        self._ground: dict[Step, GroundAction] = {}

    def ground(self, step: Step) -> GroundAction:
        """The ground action of a step, made on first use."""
        known = self._ground.get(step)
        if known is None:
            known = self._schema(step).ground(step)
            if len(self._ground) >= _KEPT:
                self._ground.clear()
            self._ground[step] = known
        return known

    def apply(self, action: GroundAction, row: Row, state: State) -> Number | None:
        """Changes the state by the action and returns its cost; None, and no change, where it is not applicable."""
        if not action.needs <= state or not action.forbids.isdisjoint(state):
            return None
        if action.schema is None:
            state -= action.deletes
            state |= action.adds
            return action.cost
        if not all([test(row, state) for test in action.schema.tests]):
            return None
        change = Change(set(action.adds), set(action.deletes), action.cost)
        for effect in action.schema.effects:
            effect(row, state, change)
        state -= change.deletes
        state |= change.adds
        return change.cost

    def unmet(self, condition: Condition, row: Row, state: State) -> tuple[str, ...]:
        """The parts of a condition that do not hold, as PDDL text."""
        return tuple([show(part, row) for part in conjuncts(condition) if not self.compile(part)(row, state)])

    def choices(self, variable: TypedName) -> tuple[str, ...]:
        """The objects that a variable may stand for."""
        if len(variable.types) == 1:
            return self.members[variable.types[0]]
        return tuple(dict.fromkeys([name for kind in variable.types for name in self.members[kind]]))

    def cost(self, term: Number | Atom, row: Row) -> Number:
        if not isinstance(term, Atom):
            return term
        key = fill(term, row)
        if key not in self.values:
            raise StepError(f"its cost ({' '.join(key)}) has no value in :init")
        return self.values[key]

    def is_static(self, condition: Condition) -> bool:
        """Whether no action can change the condition's truth."""
        match condition:
            case Atom(predicate):
                return predicate not in self.fluents
            case Equal():
                return True
            case Not(part) | Forall(_, part) | Exists(_, part):
                return self.is_static(part)
            case And(parts) | Or(parts):
                return all([self.is_static(part) for part in parts])
            case Imply(premise, conclusion):
                return self.is_static(premise) and self.is_static(conclusion)

    def compile(self, condition: Condition) -> Test:
        match condition:
            case Atom(predicate):
                static = self.static
                if predicate in self.fluents:
                    return lambda row, state: fill(condition, row) in state
                return lambda row, state: fill(condition, row) in static
            case Equal(left, right):
                return lambda row, state: _object(left, row) == _object(right, row)
            case Not(part):
                test = self.compile(part)
                return lambda row, state: not test(row, state)
            case And(parts):
                tests = [self.compile(part) for part in parts]
                return lambda row, state: all(test(row, state) for test in tests)
            case Or(parts):
                tests = [self.compile(part) for part in parts]
                return lambda row, state: any(test(row, state) for test in tests)
            case Imply(premise, conclusion):
                return self.compile(Or((Not(premise), conclusion)))
            case Forall(variables, part):
                test = self.compile(part)
                pools = [self.choices(variable) for variable in variables]
                return lambda row, state: all(test((*row, *chosen), state) for chosen in product(*pools))
            case Exists(variables, part):
                test = self.compile(part)
                pools = [self.choices(variable) for variable in variables]
                return lambda row, state: any(test((*row, *chosen), state) for chosen in product(*pools))

    def compile_effect(self, effect: Effect) -> Callable[[Row, State, Change], None]:
        test = self.compile(effect.condition)
        pools = [self.choices(variable) for variable in effect.variables]

        def gather(row: Row, state: State, change: Change) -> None:
            for chosen in product(*pools):
                inner = (*row, *chosen)
                if test(inner, state):
                    change.adds.update([fill(atom, inner) for atom in effect.adds])
                    change.deletes.update([fill(atom, inner) for atom in effect.deletes])
                    change.cost += sum([self.cost(term, inner) for term in effect.costs])

        return gather

    def _schema(self, step: Step) -> Schema:
        name = step[0] if step else ""
        if name not in self._schemas:
            if name not in self.domain.actions:
                raise StepError(f"there is no action {name}: there are {', '.join(self.domain.actions)}")
            self._schemas[name] = Schema(self.domain.actions[name], self)
        return self._schemas[name]


def fill(atom: Atom, row: Row) -> GroundAtom:
    return (atom.predicate, *[_object(term, row) for term in atom.terms])


def _object(term: Term, row: Row) -> str:
    return term if isinstance(term, str) else row[term]
