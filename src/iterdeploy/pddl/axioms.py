"""Which derived facts hold in a state, worked out only for those that something asks about.

All facts of one stratum that are asked about, directly or by one another, are looked at in turns until nothing changes:
the least fixpoint. Those of lower strata are settled on the way, so that "does not hold" is final when it is relied on.
No fact waits for another on the stack, so a chain may be as long as it likes.
"""

from collections.abc import Callable, Collection
from itertools import islice

from iterdeploy.pddl.conditions import Axiom, Condition, TypedName
from iterdeploy.pddl.fill import Row
from iterdeploy.pddl.model import GroundAtom
from iterdeploy.pddl.state import State, StepError, Truth
from iterdeploy.pddl.strata import stratify

Test = Callable[[Row, State], bool]
Rule = tuple[list[frozenset[str]], Test]
"""The objects that each parameter may be, and the condition."""


class Axioms:
    """The axioms of a domain, compiled for one problem when they are first needed."""

    def __init__(
        self,
        axioms: Collection[Axiom],
        compile_condition: Callable[[Condition], Test],
        choices: Callable[[TypedName], tuple[str, ...]],
    ) -> None:
        self.strata = stratify(axioms)
        self._axioms = axioms
        self._compile = compile_condition
        self._choices = choices
        self._rules: dict[str, list[Rule]] = {}

    def holds(self, atom: GroundAtom, state: State) -> bool:
        """`StepError` where that depends on a number without a value."""
        known = state.derived.get(atom)
        if known is not None:
            return _certain(known)
        stratum = self.strata[atom[0]]
        asked = state.open.get(stratum)
        if asked is not None:
            return _certain(asked.setdefault(atom, False))
        asked = state.open[stratum] = {atom: False}
        try:
            self._settle(asked, state)
        finally:
            del state.open[stratum]
        state.derived.update(asked)
        return _certain(asked[atom])

    def _settle(self, asked: dict[GroundAtom, Truth], state: State) -> None:
        """Asked about later is looked at earlier: the facts that were asked about first wait for the others."""
        changed = True
        while changed:
            changed = False
            waiting = [atom for atom, truth in asked.items() if truth is not True]
            while waiting:
                atom, count = waiting.pop(), len(asked)
                try:
                    truth: Truth = self._follows(atom, state)
                except StepError as error:  # it may hold all the same, once more is known of the others
                    truth = error
                changed = changed or type(truth) is not type(asked[atom]) or truth is True
                asked[atom] = truth
                if len(asked) > count:
                    waiting += islice(asked, count, None)
                    changed = True

    def _follows(self, atom: GroundAtom, state: State) -> bool:
        row = atom[1:]
        return any(
            all(name in pool for name, pool in zip(row, pools, strict=True)) and test(row, state)
            for pools, test in self._rules_for(atom[0])
        )

    def _rules_for(self, predicate: str) -> list[Rule]:
        if predicate not in self._rules:
            self._rules[predicate] = [
                (
                    [frozenset(self._choices(parameter)) for parameter in axiom.parameters],
                    self._compile(axiom.condition),
                )
                for axiom in self._axioms
                if axiom.predicate == predicate
            ]
        return self._rules[predicate]


def _certain(truth: Truth) -> bool:
    if isinstance(truth, StepError):
        raise truth
    return truth
