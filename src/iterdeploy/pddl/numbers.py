"""Numeric expressions as closures, and what the updates of one step come to. All arithmetic is exact.

A function without a value, read where it matters, and a division by zero make a step impossible. An `increase` of a
function without a value counts from zero, as in VAL.
"""

import operator
from collections.abc import Callable, Container, Iterable, Mapping
from fractions import Fraction
from functools import reduce

from iterdeploy.pddl.conditions import Arithmetic, Atom, Compare, Expression, Function, Number, Update, show_expression
from iterdeploy.pddl.fill import Filler, Row, filler
from iterdeploy.pddl.model import GroundAtom
from iterdeploy.pddl.reader import NotSupported
from iterdeploy.pddl.state import MOST_BITS, State, StepError

Value = Callable[[Row, State], Number]
Settled = tuple[GroundAtom, str, Number]
"""A function, what happens to it ("increase"), and by how much."""

_COMPARE: Mapping[str, Callable[[Number, Number], bool]] = {
    "<": operator.lt, "<=": operator.le, "=": operator.eq, ">=": operator.ge, ">": operator.gt,
}  # fmt: skip
_ADDITIVE = ("increase", "decrease")


def compile_comparison(
    compare: Compare, changing: Container[str], fixed: Mapping[GroundAtom, Number]
) -> Callable[[Row, State], bool]:
    left, right = (compile_expression(side, changing, fixed) for side in (compare.left, compare.right))
    holds = _COMPARE[compare.operator]
    return lambda row, state: holds(left(row, state), right(row, state))


def compile_expression(expression: Expression, changing: Container[str], fixed: Mapping[GroundAtom, Number]) -> Value:
    """What computes the expression; `fixed` are the values of the functions that are not `changing`.

    `StepError` where it has no value.
    """
    match expression:
        case Function():
            fill = fill_function(expression)
            if expression.name in changing:
                return lambda row, state: _looked_up(fill(row), state.values)
            return lambda row, state: _looked_up(fill(row), fixed)
        case Arithmetic("-", (part,)):
            positive = compile_expression(part, changing, fixed)
            return lambda row, state: -positive(row, state)
        case Arithmetic("/", (_, below)):
            over, under = (compile_expression(part, changing, fixed) for part in expression.parts)

            def divided(row: Row, state: State) -> Number:
                divisor = under(row, state)
                if divisor == 0:
                    raise StepError(f"division by zero: {show_expression(below, row)}")
                return Fraction(over(row, state)) / divisor

            return divided
        case Arithmetic(sign, _):
            parts = [compile_expression(part, changing, fixed) for part in expression.parts]
            combine = {"+": operator.add, "-": operator.sub, "*": operator.mul}[sign]
            return lambda row, state: reduce(combine, [part(row, state) for part in parts])
        case number:
            return lambda row, state: number


def compile_update(
    update: Update, changing: Container[str], fixed: Mapping[GroundAtom, Number]
) -> Callable[[Row, State], Settled]:
    fill, amount = fill_function(update.function), compile_expression(update.amount, changing, fixed)
    return lambda row, state: (fill(row), update.operator, amount(row, state))


def fill_function(function: Function) -> Filler:
    return filler(Atom(function.name, function.terms))


def settle(updates: Iterable[Settled], before: Mapping[GroundAtom, Number]) -> dict[GroundAtom, Number]:
    """The new values after updates that happen at once.

    Increases and decreases of one function add up. Any other two updates of it contradict one another: `StepError`.
    """
    after: dict[GroundAtom, Number] = {}
    how: dict[GroundAtom, str] = {}
    for key, change, amount in updates:
        if key in how and not (change in _ADDITIVE and how[key] in _ADDITIVE):
            raise StepError(f"({' '.join(key)}) gets two new values at once, by {how[key]} and {change}")
        how[key] = change
        value = after.get(key, before.get(key, 0))
        match change:
            case "assign":
                value = amount
            case "increase":
                value += amount
            case "decrease":
                value -= amount
            case "scale-up":
                value *= amount
            case _:
                if amount == 0:
                    raise StepError(f"division by zero: ({' '.join(key)}) is divided by it")
                value = Fraction(value) / amount
        if max(value.numerator.bit_length(), value.denominator.bit_length()) > MOST_BITS:
            raise NotSupported(f"numbers of more than {MOST_BITS} bits, such as that of ({' '.join(key)})")
        after[key] = value
    return after


def plain(number: Number) -> int | float:
    """As others take it: a whole number stays exact."""
    try:
        rounded = float(number)
        return number.numerator if number.denominator == 1 else rounded
    except OverflowError:
        raise NotSupported("costs of more than 300 digits") from None


def _looked_up(key: GroundAtom, values: Mapping[GroundAtom, Number]) -> Number:
    value = values.get(key)
    if value is None:
        raise StepError(f"({' '.join(key)}) has no value")
    return value
