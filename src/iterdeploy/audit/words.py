"""Coefficients in words."""

import math

from iterdeploy.audit.observe import ACTION
from iterdeploy.audit.questions import PICKED
from iterdeploy.audit.records import Amount, Coefficient, Rewarded

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
    if one.value is None:
        return one.note
    low, high = -math.inf if one.low is None else one.low, math.inf if one.high is None else one.high
    return f"{ratio(one.value)} ({ratio(low)} to {ratio(high)})"


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
        value, interval = effect(one).split(" ", 1)
        odds = f"{value} times the odds {interval}"
        return f"users {verb} valid answers with {with_it} at {odds} {others}"
    return f"{_unit(name)} multiplied the odds of a valid answer to be {verb} by {effect(one)}"


def _with_more(name: str, sign: int) -> str:
    return f"with the {'higher' if sign > 0 else 'lower'} {name}"


def _unit(name: str) -> str:
    if name.startswith(ACTION):
        return f"each percent more of {name.removeprefix(ACTION)} among the plan's steps"
    return UNITS.get(name, f"each unit more of {name}")


def points(share: float) -> str:
    """A difference of shares.

    >>> points(0.123), points(-0.0042)
    ('+12.3 points', '-0.4 points')
    """
    return f"{100 * share:+.1f} points"


def between(one: Amount) -> str:
    """
    >>> between(Amount(0.12, 0.05, 0.19, 0.03, 0.001))
    '+12.0 points (+5.0 to +19.0)'
    """
    return f"{points(one.value)} ({100 * one.low:+.1f} to {100 * one.high:+.1f})"


def more_of(name: str, one: Rewarded) -> str:
    """What an effect on shares is the effect of."""
    if one.marker:
        return MARKERS.get(name, name)
    return f"one standard deviation more of {name} ({one.spread:.3g})"


def effect_on_share(question: str, one: Rewarded) -> str:
    """The second half of a sentence; empty where it cannot be told."""
    if one.shares is None:
        return ""
    if question == PICKED:
        return f"; of two that differ in nothing else it won {one.shares.more:.0%} of the choices"
    how = "it" if one.marker else f"a standard deviation ({one.spread:.3g})"
    return f"; {how} changes the share published by {between(one.shares.difference)}"


def alone(question: str, name: str, one: Rewarded) -> str:
    """A feature's association with being kept, whatever else goes with it; empty where it does not vary.

    >>> length = Amount(-0.02, -0.03, -0.01, 0.005, 0.001)
    >>> alone("published", "plan_length", Rewarded(False, 3.0, length, None, Coefficient(), None, None, {}, None))
    'each step more of the plan comes with -2.0 points (-3.0 to -1.0) in the share published among like answers'
    """
    if one.alone is None:
        return ""
    verb, others = ("picked", "answers to one task") if question == PICKED else ("published", "like answers")
    what = MARKERS.get(name, name) if one.marker else _unit(name)
    return f"{what} comes with {between(one.alone)} in the share {verb} among {others}"
