"""Reads numeric expressions, comparisons and updates of functions (PDDL 2.1, level 2)."""

from collections.abc import Mapping
from fractions import Fraction

from iterdeploy.pddl.conditions import Arithmetic, Compare, Expression, Function, Number, Update
from iterdeploy.pddl.dialects import refuse_dialect
from iterdeploy.pddl.reader import Node, PddlError, short
from iterdeploy.pddl.scope import Scope, read_term

COMPARISONS = frozenset({"<", "<=", "=", ">=", ">"})
UPDATES = frozenset({"assign", "increase", "decrease", "scale-up", "scale-down"})
_PARTS: Mapping[str, range] = {"+": range(2, 1000), "*": range(2, 1000), "-": range(1, 3), "/": range(2, 3)}
"""How many parts each operator takes."""


def is_numeric(term: str | Node, scope: Scope) -> bool:
    """Whether a side of `=` is a number and not an object or a variable."""
    if isinstance(term, Node):
        return True
    return term not in scope.objects and not term.startswith("?") and (term in scope.functions or _is_number(term))


def read_comparison(node: Node, scope: Scope) -> Compare:
    if len(node) != 3:
        raise PddlError(f"expected ({node.head} number number), not {short(node)}", node.line)
    left, right = [read_expression(side, scope, node) for side in node[1:]]
    return Compare(node.head, left, right)


def read_update(node: Node, scope: Scope) -> Update:
    if len(node) != 3:
        raise PddlError(f"expected ({node.head} (function) amount), not {short(node)}", node.line)
    return Update(node.head, read_function(node[1], scope, node), read_expression(node[2], scope, node))


def read_expression(item: str | Node, scope: Scope, node: Node) -> Expression:
    """A number, a function or arithmetic; in `node`, for messages."""
    if isinstance(item, str):
        refuse_dialect(item, node.line)
        return read_function(item, scope, node) if item in scope.functions else read_number(item, node.line)
    if item.head in scope.functions:
        return read_function(item, scope, node)
    if item.head not in _PARTS:
        return read_function(item, scope, node)
    if len(item) - 1 not in _PARTS[item.head]:
        raise PddlError(f"{item.head} does not take {len(item) - 1} parts: {short(item)}", item.line)
    return Arithmetic(item.head, tuple([read_expression(part, scope, item) for part in item[1:]]))


def read_function(term: str | Node, scope: Scope, node: Node) -> Function:
    """A function with its objects; in `node`, for messages."""
    head = term if isinstance(term, str) else term.head
    terms = [] if isinstance(term, str) else term[1:]
    if head not in scope.functions:
        refuse_dialect(head, node.line)
        raise PddlError(f"function {head or short(term)} in {short(node)} is not declared in :functions", node.line)
    if len(terms) != scope.functions[head]:
        raise PddlError(f"{head} takes {scope.functions[head]} arguments, not {len(terms)}: {short(node)}", node.line)
    return Function(head, tuple([read_term(item, scope, node) for item in terms]))


def read_number(text: str, line: int) -> Number:
    if not _is_number(text):
        raise PddlError(f"expected a number, not {short(text)}", line)
    return Fraction(text) if "." in text else int(text)


def _is_number(text: str) -> bool:
    digits = text.removeprefix("-")
    return len(digits) <= 100 and digits.isascii() and digits.replace(".", "", 1).isdecimal()
