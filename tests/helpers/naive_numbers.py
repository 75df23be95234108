"""The naive validator with numbers and derived predicates, in two kinds of arithmetic.

Exact: fractions, and a condition holds or not. `floats=True`: as VAL computes, in double precision, where a comparison
holds already if its sides are less than 0.0001 apart, also `<` and `>`, and a division by zero gives infinity.
Derived facts are searched for from the top, as the definition says: through the conditions, and never in a circle.
"""

import operator
from fractions import Fraction

from helpers.naive_pddl import Naive, atom, nested, substitute, typed

CLOSE = 0.0001
EXACT = {"<": operator.lt, "<=": operator.le, "=": operator.eq, ">=": operator.ge, ">": operator.gt}
ROUGH = {
    "<": lambda gap: gap < CLOSE,
    "<=": lambda gap: gap <= CLOSE,
    "=": lambda gap: abs(gap) < CLOSE,
    ">=": lambda gap: gap >= -CLOSE,
    ">": lambda gap: gap > -CLOSE,
}
UPDATES = ("assign", "increase", "decrease", "scale-up", "scale-down")


class Undefined(Exception):
    """A function without a value was read, or, exactly computed, something divided by zero."""


class NaiveNumbers(Naive):
    def __init__(self, domain_text, problem_text, floats=False):
        super().__init__(domain_text, problem_text)
        self.number = float if floats else Fraction
        self.floats = floats
        self.now = {key: self.number(value) for key, value in self.values.items()}
        sections = nested(domain_text)[2:] + nested(problem_text)[2:]
        self.rules = [(head[0], typed(head[1:]), body) for name, head, body in _of(sections, ":derived")]
        self.derived = {name for name, _, _ in self.rules}
        self.path = []
        self.unsure = False
        """Whether a condition held a part without a value: then it matters in which order the parts are looked at."""
        metrics = [rest for name, *rest in sections if name == ":metric"]
        self.metric = metrics[0][1] if metrics else None

    def value(self, tree):
        if not isinstance(tree, list):
            return self.number(tree)
        head, *rest = tree
        if head not in ("+", "-", "*", "/"):
            if atom(tree) not in self.now:
                raise Undefined(atom(tree))
            return self.now[atom(tree)]
        parts = [self.value(part) for part in rest]
        if head == "-":
            return -parts[0] if len(parts) == 1 else parts[0] - parts[1]
        if head == "/":
            return self.divide(*parts)
        return parts[0] + parts[1] if head == "+" else parts[0] * parts[1]

    def divide(self, over, under):
        if under:
            return over / under
        if not self.floats:
            raise Undefined("division by zero")
        return float("nan") if not over or over != over else float("inf") * over

    def holds(self, tree, state):
        if tree and tree[0] in EXACT and not (tree[0] == "=" and isinstance(tree[1], str)):
            left, right = self.value(tree[1]), self.value(tree[2])
            return ROUGH[tree[0]](left - right) if self.floats else EXACT[tree[0]](left, right)
        if tree and tree[0] in ("and", "or"):
            want = tree[0] == "or"  # one part after the other, so that what is not looked at needs no value
            return next((want for part in tree[1:] if self.holds(part, state) is want), not want)
        if tree and tree[0] == "imply":
            return not self.holds(tree[1], state) or self.holds(tree[2], state)
        if tree and tree[0] in ("forall", "exists"):
            want = tree[0] == "exists"
            return next((want for body in self.expand(*tree[1:]) if self.holds(body, state) is want), not want)
        if tree and tree[0] in self.derived:
            return self.follows(tree, state)
        return super().holds(tree, state)

    def follows(self, tree, state):
        if tree in self.path:
            return False
        self.path.append(tree)
        try:
            return any(self.holds(self.instance(rule, tree), state) for rule in self.rules if rule[0] == tree[0])
        finally:
            self.path.pop()

    def instance(self, rule, tree):
        _, parameters, body = rule
        for (variable, _), value in zip(parameters, tree[1:], strict=True):
            body = substitute(body, variable, value)
        return body

    def step(self, step, state):
        """The next state and 0; None where the step cannot be taken. The values are in `self.now`."""
        action = self.actions[step[0]]
        precondition, effect = action[":precondition"], action[":effect"]
        for (variable, _), name in zip(typed(action[":parameters"]), step[1:], strict=True):
            precondition, effect = substitute(precondition, variable, name), substitute(effect, variable, name)
        self.look_through(precondition, state)
        if not self.holds(precondition, state):
            return None
        effects = self.effects(effect, state)
        after = self.updated([tree for tree in effects if tree[0] in UPDATES])
        if after is None:
            return None
        self.now = after
        deletes = {atom(tree[1]) for tree in effects if tree[0] == "not"}
        adds = {atom(tree) for tree in effects if tree[0] not in ("not", *UPDATES)}
        return (state - deletes) | adds, 0

    def updated(self, updates):
        after, kinds = dict(self.now), {}
        for how, function, amount in updates:
            key, number = atom(function), self.value(amount)
            kind = "sum" if how in ("increase", "decrease") else how
            if key in kinds and (kind, kinds[key]) != ("sum", "sum"):
                return None
            kinds[key] = kind
            before = after.get(key, self.number(0))
            match how:
                case "assign":
                    after[key] = number
                case "increase":
                    after[key] = before + number
                case "decrease":
                    after[key] = before - number
                case "scale-up":
                    after[key] = before * number
                case "scale-down":
                    after[key] = self.divide(before, number)
        return after

    def judge(self, steps):
        """(whether valid, number of the step that fails or None, value of the metric). `Undefined` in floats only."""
        state, number = set(self.start), None
        self.now = {key: self.number(value) for key, value in self.values.items()}
        try:
            for number, step in enumerate(steps, 1):
                after = self.step(step, state)
                if after is None:
                    return False, number, None
                state = after[0]
            number = None
            self.look_through(self.goal, state)
            valid = self.holds(self.goal, state)
        except Undefined:
            if self.floats:
                raise
            return False, number, None
        try:
            return valid, None, self.value(self.metric) if valid and self.metric else None
        except Undefined:
            self.unsure = True
            return valid, None, None

    def effects(self, tree, state):
        if tree and tree[0] == "when":
            self.look_through(tree[1], state)
        return super().effects(tree, state)

    def look_through(self, tree, state):
        """Looks at every part of a condition, to see whether one has no value."""
        head, *rest = tree or ["and"]
        if head in ("and", "or", "not", "imply"):
            parts = rest
        elif head in ("forall", "exists"):
            parts = self.expand(*rest)
        elif head in self.derived and tree not in self.path:
            parts = [self.instance(rule, tree) for rule in self.rules if rule[0] == head]
        else:
            parts = []
            try:
                self.holds(tree, state)
            except Undefined:
                self.unsure = True
        self.path.append(tree)
        for part in parts:
            self.look_through(part, state)
        self.path.pop()


def _of(sections, name):
    return [section for section in sections if section[0] == name]
