"""A domain and a problem made ready to judge plans: conditions and effects become closures, once.

Atoms of predicates that no action changes ("static") are no part of the state, so that it stays small and is quickly
copied. Nothing is expanded: quantifiers run over the objects and stop early. Ground actions are not kept either: to
fill an action's atoms anew costs less than to look after a table of them, and needs no memory.
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
Filler = Callable[[Row], GroundAtom]


class StepError(ValueError):
    """A step that is no action of the task at all; the message says why."""


@dataclass(slots=True)
class Change:
    """What the costs and the conditional effects of one step come to, gathered before anything is changed."""

    adds: State
    deletes: State
    cost: Number


class Operator:
    """One action of the domain, compiled for one problem."""

    def __init__(self, action: Action, task: "Task") -> None:
        self.action = action
        self.task = task
        self.allowed = [frozenset(task.choices(parameter)) for parameter in action.parameters]
        self.needs: list[Filler] = []
        self.forbids: list[Filler] = []
        self.tests: list[Test] = []
        for part in conjuncts(action.precondition):
            if isinstance(part, Atom) and part.predicate in task.fluents:
                self.needs.append(filler(part))
            elif isinstance(part, Not) and isinstance(part.part, Atom) and part.part.predicate in task.fluents:
                self.forbids.append(filler(part.part))
            else:
                self.tests.append(task.compile(part))
        always, *others = action.effects
        self.adds = [filler(atom) for atom in always.adds]
        self.deletes = [filler(atom) for atom in always.deletes]
        self.costs = always.costs
        self.others = [task.compile_effect(effect) for effect in others]

    def take(self, row: Row, state: State) -> Number | None:
        """Changes the state and returns the cost; None, and no change, where the precondition does not hold.

        `StepError` where the action does not take these objects.
        """
        if len(row) != len(self.allowed):
            raise StepError(f"{self.action.name} takes {len(self.allowed)} objects, not {len(row)}: {self.action}")
        for i, name in enumerate(row):
            if name not in self.allowed[i]:
                raise StepError(self._misfit(name, self.action.parameters[i]))
        for fill in self.needs:
            if fill(row) not in state:
                return None
        for fill in self.forbids:
            if fill(row) in state:
                return None
        for test in self.tests:
            if not test(row, state):
                return None
        change = self._gather(row, state) if self.others or self.costs else None
        for fill in self.deletes:
            state.discard(fill(row))
        if change:
            state -= change.deletes
        for fill in self.adds:
            state.add(fill(row))
        if change:
            state |= change.adds
        return change.cost if change else 0

    def _gather(self, row: Row, state: State) -> Change:
        change = Change(set(), set(), sum([self.task.cost(term, row) for term in self.costs]))
        for gather in self.others:
            gather(row, state, change)
        return change

    def _misfit(self, name: str, parameter: TypedName) -> str:
        kind = self.task.objects.get(name)
        if kind is None:
            return f"{name} is not an object of this problem"
        return f"{name} is of type {kind}, but {parameter.name} must be {parameter.type_text}"


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
        self._operators: dict[str, Operator] = {}
        self._shared: dict[int, tuple[Condition, Test]] = {}
        self._finish = Operator(Action("", (), problem.goal, (Effect(),)), self)

    def take(self, step: Step, state: State) -> Number | None:
        """Changes the state by a step, see `Operator.take`."""
        name = step[0] if step else ""
        operator = self._operators.get(name)
        if operator is None:
            if name not in self.domain.actions:
                raise StepError(f"there is no action {name}: there are {', '.join(self.domain.actions)}")
            operator = self._operators[name] = Operator(self.domain.actions[name], self)
        return operator.take(step[1:], state)

    def reached(self, state: State) -> bool:
        """Whether the goal holds: it is kept as an action without effects, and holds where that can be taken."""
        return self._finish.take((), state) is not None

    def unmet(self, condition: Condition, row: Row, state: State) -> tuple[str, ...]:
        """The parts of a condition that do not hold, as PDDL text."""
        return tuple([show(part, row) for part in conjuncts(condition) if not self.compile(part)(row, state)])

    def choices(self, variable: TypedName) -> tuple[str, ...]:
        """The objects that a variable may stand for."""
        if len(variable.types) == 1:
            return self.members[variable.types[0]]
        return tuple(dict.fromkeys([name for kind in variable.types for name in self.members[kind]]))

    def cost(self, term: Number | Atom, row: Row) -> Number:
        """The amount of one increase; `StepError` where the problem gives it no value."""
        if not isinstance(term, Atom):
            return term
        key = filler(term)(row)
        if key not in self.values:
            raise StepError(f"its cost ({' '.join(key)}) has no value in :init")
        return self.values[key]

    def compile(self, condition: Condition) -> Test:
        """What tests the condition. One that stands in many places, as around nested effects, is compiled once."""
        if id(condition) not in self._shared:  # the condition is kept, too, so that no other one gets its id
            self._shared[id(condition)] = (condition, self._compile(condition))
        return self._shared[id(condition)][1]

    def _compile(self, condition: Condition) -> Test:
        match condition:
            case Atom(predicate):
                fill, static = filler(condition), self.static
                if predicate in self.fluents:
                    return lambda row, state: fill(row) in state
                return lambda row, state: fill(row) in static
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
        adds = [filler(atom) for atom in effect.adds]
        deletes = [filler(atom) for atom in effect.deletes]

        def gather(row: Row, state: State, change: Change) -> None:
            for chosen in product(*pools):
                inner = (*row, *chosen)
                if test(inner, state):
                    change.adds.update([fill(inner) for fill in adds])
                    change.deletes.update([fill(inner) for fill in deletes])
                    change.cost += sum([self.cost(term, inner) for term in effect.costs])

        return gather


def filler(atom: Atom) -> Filler:
    """What puts the objects of a row into the slots of the atom; spelled out for the short atoms that are most."""
    name = atom.predicate
    match atom.terms:
        case ():
            return lambda row: (name,)
        case (int(a),):
            return lambda row: (name, row[a])
        case (int(a), int(b)):
            return lambda row: (name, row[a], row[b])
        case (int(a), int(b), int(c)):
            return lambda row: (name, row[a], row[b], row[c])
        case terms:
            return lambda row: (name, *[_object(term, row) for term in terms])


def _object(term: Term, row: Row) -> str:
    return term if isinstance(term, str) else row[term]
