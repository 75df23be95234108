"""Reads conditions and effects from the nested lists of `reader`, checking every name on the way."""

from collections.abc import Sequence
from dataclasses import replace

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
    Or,
    Update,
    conjuncts,
)
from iterdeploy.pddl.declarations import read_variables
from iterdeploy.pddl.dialects import refuse_dialect
from iterdeploy.pddl.expressions import COMPARISONS, UPDATES, is_numeric, read_comparison, read_update
from iterdeploy.pddl.reader import Node, PddlError, short
from iterdeploy.pddl.scope import Scope, read_term

_WORDS = {"and", "or", "not", "imply", "forall", "exists", "when", *COMPARISONS, *UPDATES}


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
            if any(is_numeric(side, scope) for side in node[1:]):
                return read_comparison(node, scope)
            return Equal(read_term(node[1], scope, node), read_term(node[2], scope, node))
        case "" if not node:
            return And()
        case head if head in scope.predicates:
            return read_atom(node, scope)
        case head if head in COMPARISONS:
            return read_comparison(node, scope)
        case _:
            return read_atom(node, scope)


def read_effect(node: Node, scope: Scope) -> tuple[Effect, ...]:
    """The groups of an effect; the first is what always happens."""
    others: list[Effect] = []
    always = _gather(node, scope, Effect(), others)
    return (always, *[group for group in others if group.adds or group.deletes or group.updates])


def _gather(node: Node, scope: Scope, group: Effect, others: list[Effect]) -> Effect:
    """`group` with what the node adds to it; groups under further variables or conditions go to `others`."""
    adds: list[Atom] = []
    deletes: list[Atom] = []
    updates: list[Update] = []
    waiting = [node]
    while waiting:
        item = waiting.pop()
        match item.head:
            case "and":
                waiting += reversed([as_list(part, item) for part in item[1:]])
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
            case head if head in UPDATES and head not in scope.predicates:
                updates.append(read_update(item, scope))
            case _:
                adds.append(read_atom(item, scope))
    return replace(group, adds=tuple(adds), deletes=tuple(deletes), updates=tuple(updates))


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
    return Atom(node.head, tuple([read_term(term, scope, node) for term in node[1:]]))


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
