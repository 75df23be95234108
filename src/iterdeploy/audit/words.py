"""Coefficients in words."""

import math

from iterdeploy.audit.logit import Coefficient
from iterdeploy.audit.observe import ACTION
from iterdeploy.audit.rewards import PICKED

UNITS = {
    "plan_length": "each step more of the plan",
    "reasoning_tokens": "each token more of reasoning",
    "answer_tokens": "each token more of the answer",
}
MARKERS = {"detour": "a detour", "strict_form": "exactly the required form"}


def ratio(log_odds: float) -> str:
    """A ratio of odds, to two digits or three.

    >>> ratio(1.8), ratio(0.04), ratio(-5.3)
    ('6.0', '1.04', '0.0050')
    """
    if log_odds > math.log(1e6):
        return "over 1,000,000"
    value = math.exp(log_odds)
    if value >= 2:
        return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"
    return f"{value:.2f}" if value >= 0.1 else f"{value:#.2g}"


def effect(one: Coefficient) -> str:
    """
    >>> effect(Coefficient(value=0.0, low=-0.1, high=0.1))
    '1.00 (0.90 to 1.11)'
    """
    if one.always:
        return f"{bound(one)}, all {one.decided} one way"
    if one.value is None or one.low is None or one.high is None:
        return one.note
    return f"{ratio(one.value)} ({ratio(one.low)} to {ratio(one.high)})"


def bound(one: Coefficient) -> str:
    """The finite end of an interval whose other end is not."""
    end = one.low if one.always > 0 else one.high
    assert end is not None
    return f"at {'least' if one.always > 0 else 'most'} {ratio(end)}"


def statement(question: str, name: str, one: Coefficient, marker: bool) -> str:
    """What a coefficient means, without its time.

    >>> statement("published", "detour", Coefficient(value=1.825, low=1.411, high=2.23), True)
    'users published valid answers with a detour at 6.2 times the odds (4.1 to 9.3) of others to like tasks'
    """
    with_it = MARKERS.get(name, name)
    if question == PICKED:
        if one.always:
            won = f"{'with' if one.always > 0 else 'without'} {with_it}" if marker else _with_more(name, one.always)
            return (
                f"of two valid answers to one task users always picked the one {won}, in all {one.decided} choices "
                f"that this decides ({bound(one)} times the odds for each unit)"
            )
        verb, others = "picked", "of the other one to the same task"
    else:
        if one.always:
            return (
                f"in all {one.decided} decisions that {name} settles alone, {'more' if one.always > 0 else 'less'} of "
                f"it was published ({bound(one)} times the odds)"
            )
        verb, others = "published", "of others to like tasks"
    if marker:
        assert one.value is not None and one.low is not None and one.high is not None
        odds = f"{ratio(one.value)} times the odds ({ratio(one.low)} to {ratio(one.high)})"
        return f"users {verb} valid answers with {with_it} at {odds} {others}"
    unit = UNITS.get(name, f"each unit more of {name}")
    if name.startswith(ACTION):
        unit = f"each percent more of {name.removeprefix(ACTION)} among the plan's steps"
    return f"{unit} multiplied the odds of a valid answer to be {verb} by {effect(one)}"


def _with_more(name: str, sign: int) -> str:
    return f"with the {'higher' if sign > 0 else 'lower'} {name}"
