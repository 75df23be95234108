"""How numbers are written in the report's tables, and where their cells lead."""

from collections.abc import Callable
from urllib.parse import urlencode

from iterdeploy.metrics.records import Interval

NOTHING = "\N{EN DASH}"
SPLITS = {"held_out": "held-out", "deployed": "deployed"}


def share(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.1%}"


def number(value: int | None) -> str:
    return NOTHING if value is None else f"{value:,}"


def ratio(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.2f}"


def mean(value: float | None) -> str:
    return NOTHING if value is None else f"{value:,.1f}"


def loss(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.4f}"


def interval(value: Interval) -> str:
    """
    >>> interval(Interval(0.25, 0.5))
    '25.0 to 50.0%'
    """
    return f"{100 * value.low:.1f} to {value.high:.1%}"


def counted(count: int, total: int) -> str:
    """
    >>> counted(38, 80)
    '38 (47.5%)'
    """
    return f"{count:,} ({count / max(1, total):.1%})"


def clock(seconds: float) -> str:
    """
    >>> clock(42.4), clock(75), clock(7500)
    ('42 s', '1 min 15 s', '2 h 05 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600:,} h {whole % 3600 // 60:02} min"


def ends(low: float | None, high: float | None, form: Callable[[float], str]) -> str:
    """An interval's ends, in the form of its value.

    >>> ends(1.25, 2.5, "{:.2f}".format)
    '1.25 to 2.50'
    """
    return NOTHING if low is None or high is None else f"{form(low)} to {form(high)}"


def traces_where(**wanted: object) -> str:
    """The explorer's state that shows the traces with these properties; those that are None do not matter.

    >>> traces_where(generation=2, verdict="invalid", size=None)
    '#traces?generation=2&verdict=invalid'
    """
    return f"#traces?{urlencode({key: value for key, value in wanted.items() if value is not None})}"
