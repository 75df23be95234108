"""The names that may be used where a condition or an effect stands, and the terms made of them."""

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, replace

from iterdeploy.pddl.conditions import Term, TypedName
from iterdeploy.pddl.reader import Node, NotSupported, PddlError, short

MAX_VARIABLES = 200
"""Parameters and quantified variables around one another. Each quantifier takes memory for all of those around it."""


@dataclass(frozen=True, slots=True)
class Scope:
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


def read_term(term: str | Node, scope: Scope, node: Node) -> Term:
    if isinstance(term, Node):
        raise NotSupported(f"terms in parentheses such as {short(term)} in {short(node)}", term.line)
    if term.startswith("?"):
        if term not in scope.slots:
            raise PddlError(f"variable {term} in {short(node)} is bound nowhere: add it to :parameters", node.line)
        return scope.slots[term]
    if term not in scope.objects:
        raise PddlError(f"{term} in {short(node)} is neither an object nor a constant: declare it", node.line)
    return term
