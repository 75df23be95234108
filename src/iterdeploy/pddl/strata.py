"""In which order derived predicates are worked out: none before those whose absence it relies on."""

from collections.abc import Collection, Iterator

from iterdeploy.pddl.conditions import And, Atom, Axiom, Condition, Exists, Forall, Imply, Not, Or
from iterdeploy.pddl.reader import PddlError


def stratify(axioms: Collection[Axiom]) -> dict[str, int]:
    """Derived predicate -> its stratum, from 0. `PddlError` if one relies on its own absence (PDDL 2.2 forbids it).

    >>> stratify([Axiom("a", (), Not(Atom("b", ()))), Axiom("b", (), Atom("c", ()))])
    {'a': 1, 'b': 0}
    """
    strata = {axiom.predicate: 0 for axiom in axioms}
    uses = [
        (axiom.predicate, used, not positive)
        for axiom in axioms
        for used, positive in dict.fromkeys(_signed(axiom.condition, True))
        if used in strata
    ]
    changed = True
    while changed:
        changed = False
        for name, used, negative in uses:
            lowest = strata[used] + negative
            if strata[name] < lowest:
                if lowest >= len(strata):
                    raise PddlError(
                        f"derived predicate {name} relies on its own absence: the axioms are not stratified"
                    )
                strata[name] = lowest
                changed = True
    return strata


def _signed(condition: Condition, positive: bool) -> Iterator[tuple[str, bool]]:
    """The predicates of a condition, each with whether it must hold or not."""
    match condition:
        case Atom(predicate):
            yield predicate, positive
        case Not(part):
            yield from _signed(part, not positive)
        case And(parts) | Or(parts):
            for part in parts:
                yield from _signed(part, positive)
        case Imply(premise, conclusion):
            yield from _signed(premise, not positive)
            yield from _signed(conclusion, positive)
        case Forall(_, part) | Exists(_, part):
            yield from _signed(part, positive)
