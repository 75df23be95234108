"""What the domains with numbers share: initial values and goals as text, and what a goal asks of a function."""

from fractions import Fraction

from iterdeploy.pddl import Problem
from iterdeploy.pddl.conditions import Compare, Function, Number, conjuncts, show_number
from iterdeploy.planning.domain import Step
from iterdeploy.planning.domains.common import PolicyFailed


def equation(function: str, *objects: str, value: Number) -> Step:
    """An initial value, or a part of a goal, for `problem_text`.

    >>> equation("level", "t1", value=Fraction(1, 2))
    ('=', '(level t1)', '0.5')
    """
    return ("=", f"({' '.join([function, *objects])})", show_number(value))


def goal_values(problem: Problem, function: str) -> dict[str, Number]:
    """Object -> the value that the goal wants its function to have. PolicyFailed for any other goal."""
    wanted: dict[str, Number] = {}
    for part in conjuncts(problem.goal):
        match part:
            case Compare("=", Function(name, (str(thing),)), (int() | Fraction()) as value) if name == function:
                wanted[thing] = value
            case _:
                raise PolicyFailed(f"the goal asks for more than values of {function}")
    return wanted
