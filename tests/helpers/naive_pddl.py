"""A second PDDL validator, as naive as can be, for the tests to compare with.

It shares nothing with `iterdeploy.pddl`: recursive reading, every name substituted into the text of the action, every
quantifier expanded, every state a set of strings. Slow, and short enough to be checked by eye. It expects right PDDL.
"""

import re
from fractions import Fraction


def nested(text):
    """Nested lists of lower-case words."""
    words = re.findall(r"[()]|[^\s()]+", re.sub(";.*", "", text.lower()))

    def take(position):
        if words[position] != "(":
            return words[position], position + 1
        items, position = [], position + 1
        while words[position] != ")":
            item, position = take(position)
            items.append(item)
        return items, position + 1

    return take(0)[0]


def typed(items):
    """[(name, [types])] of `a b - t c`."""
    if "-" not in items:
        return [(name, ["object"]) for name in items]
    dash = items.index("-")
    kind = items[dash + 1]
    kinds = kind[1:] if isinstance(kind, list) else [kind]
    return [(name, kinds) for name in items[:dash]] + typed(items[dash + 2 :])


def substitute(tree, variable, value):
    if isinstance(tree, list):
        if tree and tree[0] in ("forall", "exists") and variable in tree[1]:
            return tree  # hidden by the inner variable of the same name
        return [substitute(part, variable, value) for part in tree]
    return value if tree == variable else tree


def atom(tree):
    return "(" + " ".join(tree) + ")"


class Naive:
    def __init__(self, domain_text, problem_text):
        sections = nested(domain_text)[2:] + nested(problem_text)[2:]
        self.parents, self.objects, self.actions, self.start, self.values = [], [], {}, set(), {}
        self.goal = ["and"]
        for head, *rest in sections:
            if head == ":types":
                self.parents += typed(rest)
            elif head in (":constants", ":objects"):
                self.objects += typed(rest)
            elif head == ":action":
                self.actions[rest[0]] = dict(zip(rest[1::2], rest[2::2], strict=True))
            elif head == ":goal":
                self.goal = rest[0]
            elif head == ":init":
                for item in rest:
                    if item[0] == "=":
                        self.values[atom(item[1])] = Fraction(item[2])
                    elif item[0] != "not":
                        self.start.add(atom(item))

    def is_a(self, kind, wanted):
        above = [parent for name, parents in self.parents if name == kind for parent in parents]
        return kind == wanted or wanted == "object" or any(self.is_a(parent, wanted) for parent in above)

    def of_type(self, kinds):
        return [name for name, own in self.objects if any(self.is_a(have, want) for have in own for want in kinds)]

    def expand(self, variables, body):
        """The body once for every choice of objects."""
        bodies = [body]
        for variable, kinds in typed(variables):
            bodies = [substitute(tree, variable, name) for tree in bodies for name in self.of_type(kinds)]
        return bodies

    def holds(self, tree, state):
        if not tree:
            return True
        head, *rest = tree
        if head == "and":
            return all([self.holds(part, state) for part in rest])
        if head == "or":
            return any([self.holds(part, state) for part in rest])
        if head == "not":
            return not self.holds(rest[0], state)
        if head == "imply":
            return not self.holds(rest[0], state) or self.holds(rest[1], state)
        if head == "forall":
            return all([self.holds(body, state) for body in self.expand(*rest)])
        if head == "exists":
            return any([self.holds(body, state) for body in self.expand(*rest)])
        if head == "=":
            return rest[0] == rest[1]
        return atom(tree) in state

    def effects(self, tree, state):
        """The literals and increases that a (ground) effect comes to in a state."""
        if not tree:
            return []
        head, *rest = tree
        if head == "and":
            return [effect for part in rest for effect in self.effects(part, state)]
        if head == "forall":
            return [effect for body in self.expand(*rest) for effect in self.effects(body, state)]
        if head == "when":
            return self.effects(rest[1], state) if self.holds(rest[0], state) else []
        return [tree]

    def step(self, step, state):
        """The next state and the cost; None where the step cannot be taken."""
        action = self.actions.get(step[0])
        if action is None:
            return None
        parameters = typed(action.get(":parameters", []))
        if len(parameters) != len(step) - 1:
            return None
        precondition, effect = action.get(":precondition", []), action.get(":effect", [])
        for (variable, kinds), name in zip(parameters, step[1:], strict=True):
            if name not in self.of_type(kinds):
                return None
            precondition = substitute(precondition, variable, name)
            effect = substitute(effect, variable, name)
        if not self.holds(precondition, state):
            return None
        effects = self.effects(effect, state)
        deletes = {atom(tree[1]) for tree in effects if tree[0] == "not"}
        adds = {atom(tree) for tree in effects if tree[0] not in ("not", "increase")}
        raises = [tree[2] for tree in effects if tree[0] == "increase"]
        cost = sum(self.values[atom(amount)] if isinstance(amount, list) else int(amount) for amount in raises)
        return (state - deletes) | adds, cost

    def judge(self, steps):
        """(whether valid, number of the step that fails or None, total cost)"""
        state, total = set(self.start), 0
        for number, step in enumerate(steps, 1):
            after = self.step(step, state)
            if after is None:
                return False, number, None
            state, total = after[0], total + after[1]
        return self.holds(self.goal, state), None, total
