"""A domain and a problem made ready to judge plans: conditions and effects become closures, once.

Atoms of predicates that no action changes ("static") are no part of the state, so that it stays small and is quickly
copied. Nothing is expanded: quantifiers run over the objects and stop early. Ground actions are not kept either: to
fill an action's atoms anew costs less than to look after a table of them, and needs no memory.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product

from iterdeploy.pddl.axioms import Axioms
from iterdeploy.pddl.conditions import (
    And,
    Atom,
    Compare,
    Condition,
    Effect,
    Equal,
    Exists,
    Forall,
    Imply,
    Not,
    Number,
    Or,
    TypedName,
    Update,
    conjuncts,
    show,
)
from iterdeploy.pddl.fill import Filler, Row, filler, object_in
from iterdeploy.pddl.model import Action, Domain, GroundAtom, Problem
from iterdeploy.pddl.numbers import Settled, Value, compile_comparison, compile_expression, compile_update, settle
from iterdeploy.pddl.plan import Step
from iterdeploy.pddl.state import State, StepError

Test = Callable[[Row, State], bool]
TOTAL_COST, TOTAL_TIME = ("total-cost",), ("total-time",)


@dataclass(slots=True)
class Change:
    """What the effects of one step come to, gathered before anything is changed."""

    adds: set[GroundAtom]
    deletes: set[GroundAtom]
    updates: list[Settled]


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
        self.updates = [task.compile_update(update) for update in always.updates]
        self.others = [task.compile_effect(effect) for effect in others]

    def take(self, row: Row, state: State) -> bool:
        """Changes the state; False, and no change, where the precondition does not hold.

        `StepError`, and no change, where the action does not take these objects or its numbers come to nothing.
        """
        if len(row) != len(self.allowed):
            raise StepError(f"{self.action.name} takes {len(self.allowed)} objects, not {len(row)}: {self.action}")
        for i, name in enumerate(row):
            if name not in self.allowed[i]:
                raise StepError(self._misfit(name, self.action.parameters[i]))
        for fill in self.needs:
            if fill(row) not in state:
                return False
        for fill in self.forbids:
            if fill(row) in state:
                return False
        for test in self.tests:
            if not test(row, state):
                return False
        change = self._gather(row, state) if self.others or self.updates else None
        for fill in self.deletes:
            state.discard(fill(row))
        if change:
            state -= change.deletes
        for fill in self.adds:
            state.add(fill(row))
        if change:
            state |= change.adds
        if state.derived:
            state.derived.clear()
        return True

    def _gather(self, row: Row, state: State) -> Change:
        """The conditional effects; the new values are in the state already, for no condition looks at it any more."""
        change = Change(set(), set(), [update(row, state) for update in self.updates])
        for gather in self.others:
            gather(row, state, change)
        if change.updates:
            state.values.update(settle(change.updates, state.values))
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
        self.goal = problem.goal
        effects = [effect for action in domain.actions.values() for effect in action.effects]
        self.fluents = {atom.predicate for effect in effects for atom in (*effect.adds, *effect.deletes)}
        self.start = frozenset([atom for atom in problem.init if atom[0] in self.fluents])
        self.static = problem.init - self.start
        updated = {update.function.name for effect in effects for update in effect.updates}
        self.has_costs = "total-cost" in updated
        self.changing = {*updated, "total-cost", "total-time"}
        values = {TOTAL_COST: 0} | problem.values
        self.start_values = {key: value for key, value in values.items() if key[0] in self.changing}
        self.fixed_values = {key: value for key, value in values.items() if key[0] not in self.changing}
        self._axioms = Axioms(domain.axioms, self.compile, self.choices)
        self._operators: dict[str, Operator] = {}
        self._shared: dict[int, tuple[Condition, Test]] = {}
        self._finish = Operator(Action("", (), problem.goal, (Effect(),)), self)
        self._metric: Value | None = None
        if problem.metric:
            self._metric = compile_expression(problem.metric.value, self.changing, self.fixed_values)

    def begin(self) -> State:
        """The initial state, to be changed by steps."""
        return State(self.start, dict(self.start_values))

    def take(self, step: Step, state: State) -> bool:
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
        return self._finish.take((), state)

    def cost(self, state: State, steps: int) -> Number | None:
        """Of a plan that ends in this state: its metric, else its total-cost, else its steps. None: it has no value."""
        if self._metric:
            state.values.setdefault(TOTAL_TIME, steps)
            try:
                return self._metric((), state)
            except StepError:
                return None
        return state.values[TOTAL_COST] if self.has_costs else steps

    def unmet(self, condition: Condition, row: Row, state: State) -> tuple[str, ...]:
        """The parts of a condition that do not hold, or have no value, as PDDL text."""
        return tuple([show(part, row) for part in conjuncts(condition) if not self._holds(part, row, state)])

    def _holds(self, condition: Condition, row: Row, state: State) -> bool:
        try:
            return self.compile(condition)(row, state)
        except StepError:
            return False

    def choices(self, variable: TypedName) -> tuple[str, ...]:
        """The objects that a variable may stand for."""
        if len(variable.types) == 1:
            return self.members[variable.types[0]]
        return tuple(dict.fromkeys([name for kind in variable.types for name in self.members[kind]]))

    def compile(self, condition: Condition) -> Test:
        """What tests the condition. One that stands in many places, as around nested effects, is compiled once."""
        if id(condition) not in self._shared:  # the condition is kept as well, so that no other one gets its id
            self._shared[id(condition)] = (condition, self._compile(condition))
        return self._shared[id(condition)][1]

    def _compile(self, condition: Condition) -> Test:
        match condition:
            case Atom(predicate):
                fill, static = filler(condition), self.static
                if predicate in self.fluents:
                    return lambda row, state: fill(row) in state
                if predicate in self._axioms.strata:
                    return lambda row, state: self._axioms.holds(fill(row), state)
                return lambda row, state: fill(row) in static
            case Equal(left, right):
                return lambda row, state: object_in(left, row) == object_in(right, row)
            case Compare():
                return compile_comparison(condition, self.changing, self.fixed_values)
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
        updates = [self.compile_update(update) for update in effect.updates]

        def gather(row: Row, state: State, change: Change) -> None:
            for chosen in product(*pools):
                inner = (*row, *chosen)
                if test(inner, state):
                    change.adds.update([fill(inner) for fill in adds])
                    change.deletes.update([fill(inner) for fill in deletes])
                    change.updates += [update(inner, state) for update in updates]

        return gather

    def compile_update(self, update: Update) -> Callable[[Row, State], Settled]:
        return compile_update(update, self.changing, self.fixed_values)
