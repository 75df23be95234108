"""What changes while a plan is carried out: the facts that hold and the values of the functions."""

from collections.abc import Iterable

from iterdeploy.pddl.conditions import Number
from iterdeploy.pddl.model import GroundAtom

MOST_BITS = 10_000
"""Of a numerator or a denominator: about 3,000 digits. Squares of squares would grow without end."""


class StepError(ValueError):
    """A step that cannot be taken for a reason other than a precondition that does not hold; the message says why."""


Truth = bool | StepError
"""Whether a derived fact holds; the error where a number that decides it has no value."""


class State(set[GroundAtom]):
    """The facts that hold, of those that actions change."""

    __slots__ = ("derived", "open", "values")

    def __init__(self, facts: Iterable[GroundAtom] = (), values: dict[GroundAtom, Number] | None = None) -> None:
        super().__init__(facts)
        self.values = {} if values is None else values
        """Of the functions that actions change. One that has none is not among the keys."""
        self.derived: dict[GroundAtom, Truth] = {}
        """Derived facts that were looked at, and whether they hold. Empty after every change."""
        self.open: dict[int, dict[GroundAtom, Truth]] = {}
        """Stratum -> the derived facts that are being worked out, see `axioms`."""

    def copy(self) -> "State":
        return State(self, dict(self.values))
