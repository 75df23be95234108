"""Reads conditions and effects from the nested lists of `reader`, checking every name on the way."""

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, replace

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
)
from iterdeploy.pddl.declarations import read_variables
from iterdeploy.pddl.dialects import refuse_dialect
from iterdeploy.pddl.reader import Node, NotSupported, PddlError, short

MAX_VARIABLES = 200
"""Parameters and quantified variables around one another. Each quantifier takes memory for all of those around it."""


@dataclass(frozen=True, slots=True)
class Scope:
    """The names that may be used where a condition or an effect stands."""

    predicates: Mapping[str, int]
    """Name to number of arguments."""
    functions: Mapping[str, int]
    types: Container[str]
    objects: Container[str]
    slots: Mapping[str, int]
    """Variable to slot."""
    size: int
    """Slots taken, hidden variables included."""

    def inside(self, variables: Sequence[TypedName]) -> "Scope":
        if self.size + len(variables) > MAX_VARIABLES:
            raise PddlError(f"more than {MAX_VARIABLES} variables in one action or condition")
        bound = {variable.name: self.size + i for i, variable in enumerate(variables)}
        return replace(self, slots={**self.slots, **bound}, size=self.size + len(variables))


_NUMERIC = {"<", "<=", ">", ">="}
_CHANGES = {"increase", "decrease", "assign", "scale-up", "scale-down"}
_WORDS = {"and", "or", "not", "imply", "forall", "exists", "when", "=", *_NUMERIC, *_CHANGES}


def read_condition(node: Node, scope: Scope) -> Condition:
    match node.head:
        case "and":
            return _conjunction([read_condition(as_list(part, node), scope) for part in node[1:]])
        case "or":
            return Or(tuple([read_condition(as_list(part, node), scope) for part in node[1:]]))
        case "not":
            return Not(read_condition(_only(node), scope))
        case "imply":
            _expect(node, 3, "(imply premise conclusion)")
            return Imply(*[read_condition(as_list(part, node), scope) for part in node[1:]])
        case "forall" | "exists":
            _expect(node, 3, f"({node.head} (variables) condition)")
            variables = read_variables(node[1], scope.types, node.line)
            part = read_condition(as_list(node[2], node), scope.inside(variables))
            return Forall(variables, part) if node.head == "forall" else Exists(variables, part)
        case "=":
            _expect(node, 3, "(= term term)")
            if isinstance(node[1], Node) or isinstance(node[2], Node):
                raise NotSupported(f"numeric conditions such as {short(node)}", node.line)
            return Equal(_term(node[1], scope, node), _term(node[2], scope, node))
        case "" if not node:
            return And()
        case head if head in scope.predicates:
            return read_atom(node, scope)
        case head if head in _NUMERIC:
            raise NotSupported(f"numeric conditions such as {short(node)}", node.line)
        case _:
            return read_atom(node, scope)


def read_effect(node: Node, scope: Scope) -> tuple[Effect, ...]:
    """The groups of an effect; the first is what always happens."""
    others: list[Effect] = []
    always = _gather(node, scope, Effect(), others)
    return (always, *[group for group in others if group.adds or group.deletes or group.costs])


def _gather(node: Node, scope: Scope, group: Effect, others: list[Effect]) -> Effect:
    """`group` with what the node adds to it; groups under further variables or conditions go to `others`."""
    adds: list[Atom] = []
    deletes: list[Atom] = []
    costs: list[Number | Atom] = []
    waiting = [node]
    while waiting:
        item = waiting.pop()
        match item.head:
            case "and":
                waiting += [as_list(part, item) for part in item[1:]]
            case "not":
                deletes.append(read_atom(_only(item), scope))
            case "forall":
                _expect(item, 3, "(forall (variables) effect)")
                variables = read_variables(item[1], scope.types, item.line)
                inner = Effect((*group.variables, *variables), group.condition)
                others.append(_gather(as_list(item[2], item), scope.inside(variables), inner, others))
            case "when":
                _expect(item, 3, "(when condition effect)")
                condition = read_condition(as_list(item[1], item), scope)
                if group.condition != And():  # shared as it is: a copy of its parts for each `when` takes their product
                    condition = And((group.condition, condition))
                others.append(_gather(as_list(item[2], item), scope, Effect(group.variables, condition), others))
            case "" if not item:
                pass
            case head if head in _CHANGES and head not in scope.predicates:
                costs.append(_increase(item, scope))
            case _:
                adds.append(read_atom(item, scope))
    return replace(group, adds=tuple(adds), deletes=tuple(deletes), costs=tuple(costs))


def _increase(node: Node, scope: Scope) -> Number | Atom:
    what = node[1] if len(node) == 3 else ""
    if node.head != "increase" or str(what) not in ("total-cost", "(total-cost)"):
        raise NotSupported(f"numeric effects such as {short(node)}, other than increases of total-cost", node.line)
    amount = node[2]
    if isinstance(amount, str) and amount not in scope.functions:
        return read_number(amount, node.line)
    function = read_function(amount, scope, node)
    if function.predicate == "total-cost":
        raise NotSupported(f"costs that depend on total-cost: {short(node)}", node.line)
    return function


def read_function(term: str | Node, scope: Scope, node: Node) -> Atom:
    """A function with its arguments; in `node`, for messages."""
    head = term if isinstance(term, str) else term.head
    terms = [] if isinstance(term, str) else term[1:]
    if head not in scope.functions:
        raise NotSupported(f"expressions other than a number or a function of :functions: {short(node)}", node.line)
    if len(terms) != scope.functions[head]:
        raise PddlError(f"{head} takes {scope.functions[head]} arguments, not {len(terms)}: {short(node)}", node.line)
    return Atom(head, tuple([_term(item, scope, node) for item in terms]))


def read_number(text: str, line: int) -> Number:
    """An integer where the text has no point: costs of whole numbers stay exact."""
    digits = text.removeprefix("-")
    if len(digits) > 100 or not digits.replace(".", "", 1).isdecimal():
        raise PddlError(f"expected a number, not {short(text)}", line)
    return float(text) if "." in digits else int(text)


def _conjunction(parts: Sequence[Condition]) -> Condition:
    """`And` without further `And` directly inside."""
    flat = [inner for part in parts for inner in conjuncts(part)]
    return flat[0] if len(flat) == 1 else And(tuple(flat))


def read_atom(node: Node, scope: Scope) -> Atom:
    if not node.head:
        raise PddlError(f"expected an atom such as (clear ?x), not {short(node)}", node.line)
    arity = scope.predicates.get(node.head)
    if arity is None:
        refuse_dialect(node.head, node.line)
        if node.head in _WORDS:
            raise PddlError(f"{node.head} cannot stand here: expected an atom, not {short(node)}", node.line)
        raise PddlError(f"predicate {node.head} is not declared: add it to :predicates", node.line)
    if len(node) != arity + 1:
        raise PddlError(f"{node.head} takes {arity} arguments, not {len(node) - 1}: {short(node)}", node.line)
    return Atom(node.head, tuple([_term(term, scope, node) for term in node[1:]]))


def _term(term: str | Node, scope: Scope, node: Node) -> Term:
    if isinstance(term, Node):
        raise NotSupported(f"terms in parentheses such as {short(term)} in {short(node)}", term.line)
    if term.startswith("?"):
        if term not in scope.slots:
            raise PddlError(f"variable {term} in {short(node)} is bound nowhere: add it to :parameters", node.line)
        return scope.slots[term]
    if term not in scope.objects:
        raise PddlError(f"{term} in {short(node)} is neither an object nor a constant: declare it", node.line)
    return term


def as_list(item: str | Node, parent: Node) -> Node:
    """The item, which must stand in parentheses of its own."""
    if isinstance(item, str):
        raise PddlError(f"expected parentheses around {item} in {short(parent)}", parent.line)
    return item


def _only(node: Node) -> Node:
    _expect(node, 2, f"({node.head} (...))")
    return as_list(node[1], node)


def _expect(node: Node, length: int, form: str) -> None:
    if len(node) != length:
        raise PddlError(f"expected {form}, not {short(node)}", node.line)
