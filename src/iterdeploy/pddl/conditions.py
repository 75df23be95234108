"""Conditions and effects as plain records, and how they are written as PDDL text again.

Variables are resolved while reading: a term is either an object's name or the number of a slot in the row of objects
bound so far (first the action's parameters, then the variables of the quantifiers around it). So a variable that
hides an outer one of the same name needs no care later. Effects are flattened into groups, each with the quantified
variables and the condition under which it happens.
"""

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

Term = int | str
"""A slot number, or an object's name."""

Number = int | Fraction
"""Exact: 0.1 is one tenth."""


@dataclass(frozen=True, slots=True)
class TypedName:
    """A variable, object or parameter with its type."""

    name: str
    types: tuple[str, ...] = ("object",)
    """More than one for `(either a b)`."""

    @property
    def type_text(self) -> str:
        return self.types[0] if len(self.types) == 1 else f"(either {' '.join(self.types)})"


@dataclass(frozen=True, slots=True)
class Atom:
    predicate: str
    terms: tuple[Term, ...]


@dataclass(frozen=True, slots=True)
class Function:
    """A numeric function with its objects: (fuel ?t)."""

    name: str
    terms: tuple[Term, ...]


@dataclass(frozen=True, slots=True)
class Arithmetic:
    operator: str
    """One of + - * /; a `-` of one part turns its sign."""
    parts: tuple["Expression", ...]


Expression = Number | Function | Arithmetic


@dataclass(frozen=True, slots=True)
class Compare:
    operator: str
    """One of < <= = >= >."""
    left: Expression
    right: Expression


@dataclass(frozen=True, slots=True)
class Equal:
    left: Term
    right: Term


@dataclass(frozen=True, slots=True)
class Not:
    part: "Condition"


@dataclass(frozen=True, slots=True)
class And:
    """`(and)` of nothing holds: it also stands for a missing precondition and an empty goal."""

    parts: tuple["Condition", ...] = ()


@dataclass(frozen=True, slots=True)
class Or:
    parts: tuple["Condition", ...]


@dataclass(frozen=True, slots=True)
class Imply:
    premise: "Condition"
    conclusion: "Condition"


@dataclass(frozen=True, slots=True)
class Forall:
    variables: tuple[TypedName, ...]
    part: "Condition"


@dataclass(frozen=True, slots=True)
class Exists:
    variables: tuple[TypedName, ...]
    part: "Condition"


Condition = Atom | Equal | Compare | Not | And | Or | Imply | Forall | Exists


@dataclass(frozen=True, slots=True)
class Update:
    """One change of a function, such as (increase (fuel ?t) 2)."""

    operator: str
    function: Function
    amount: Expression


@dataclass(frozen=True, slots=True)
class Effect:
    """What happens together: for every binding of `variables` for which `condition` holds before the action."""

    variables: tuple[TypedName, ...] = ()
    condition: Condition = And()
    adds: tuple[Atom, ...] = ()
    deletes: tuple[Atom, ...] = ()
    updates: tuple[Update, ...] = ()


@dataclass(frozen=True, slots=True)
class Axiom:
    """The predicate holds of the objects of which the condition does. The parameters are the slots of both."""

    predicate: str
    parameters: tuple[TypedName, ...]
    condition: Condition


@dataclass(frozen=True, slots=True)
class Metric:
    maximize: bool
    value: Expression


def conjuncts(condition: Condition) -> tuple[Condition, ...]:
    """The parts that must all hold."""
    return condition.parts if isinstance(condition, And) else (condition,)


def show(condition: Condition, bound: tuple[str, ...] = ()) -> str:
    """PDDL text, with the objects (or variables) in `bound` put into the slots.

    >>> show(Not(Atom("on", (0, "b2"))), ("b1",))
    '(not (on b1 b2))'
    """
    match condition:
        case Atom(predicate, terms):
            return "(" + " ".join([predicate, *[_show_term(term, bound) for term in terms]]) + ")"
        case Equal(left, right):
            return f"(= {_show_term(left, bound)} {_show_term(right, bound)})"
        case Compare(operator, left, right):
            return f"({operator} {show_expression(left, bound)} {show_expression(right, bound)})"
        case Not(part):
            return f"(not {show(part, bound)})"
        case And(parts) | Or(parts):
            word = "and" if isinstance(condition, And) else "or"
            return "(" + " ".join([word, *[show(part, bound) for part in parts]]) + ")"
        case Imply(premise, conclusion):
            return f"(imply {show(premise, bound)} {show(conclusion, bound)})"
        case Forall(variables, part) | Exists(variables, part):
            word = "forall" if isinstance(condition, Forall) else "exists"
            listed = " ".join([f"{variable.name} - {variable.type_text}" for variable in variables])
            return f"({word} ({listed}) {show(part, (*bound, *[variable.name for variable in variables]))})"


def show_expression(expression: Expression, bound: tuple[str, ...] = ()) -> str:
    match expression:
        case Function(name, terms):
            return "(" + " ".join([name, *[_show_term(term, bound) for term in terms]]) + ")"
        case Arithmetic(operator, parts):
            return "(" + " ".join([operator, *[show_expression(part, bound) for part in parts]]) + ")"
        case number:
            return show_number(number)


def show_number(number: Number) -> str:
    """A decimal, exact where there is one.

    >>> show_number(Fraction("-2.50")), show_number(Fraction(2, 3))
    ('-2.5', '0.666667')
    """
    if number.denominator == 1:
        return str(number.numerator)
    places = 0
    while (number * 10**places).denominator > 1 and places < 30:
        places += 1
    return f"{float(number):g}" if places == 30 else f"{Decimal(int(number * 10**places)).scaleb(-places):f}"


def _show_term(term: Term, bound: tuple[str, ...]) -> str:
    return term if isinstance(term, str) else bound[term]
