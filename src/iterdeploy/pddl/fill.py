"""Puts the objects of a row into the slots of an atom."""

from collections.abc import Callable

from iterdeploy.pddl.conditions import Atom, Term
from iterdeploy.pddl.model import GroundAtom

Row = tuple[str, ...]
"""The objects in the slots of a condition."""
Filler = Callable[[Row], GroundAtom]


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
            return lambda row: (name, *[object_in(term, row) for term in terms])


def object_in(term: Term, row: Row) -> str:
    return term if isinstance(term, str) else row[term]
