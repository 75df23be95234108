"""How shares, differences and frontiers are written in a sentence."""

from collections.abc import Iterable, Mapping, Sequence

from iterdeploy.metrics.frontier import Frontier
from iterdeploy.metrics.paired import Paired
from iterdeploy.metrics.records import Interval, Point


def share(point: Point) -> str:
    """
    >>> share(Point(0.5, 0.403, 0.597)), share(Point(0.5))
    ('50.0% [40.3%, 59.7%]', '50.0%')
    """
    return f"{point.value:.1%}" + ("" if point.low is None else f" [{point.low:.1%}, {point.high:.1%}]")


def points(difference: float, interval: Interval) -> str:
    """A difference of shares, in percentage points.

    >>> points(0.082, Interval(0.0384, 0.1251))
    '+8.2 points [+3.8, +12.5]'
    """
    return f"{100 * difference:+.1f} points [{100 * interval.low:+.1f}, {100 * interval.high:+.1f}]"


def chance(p: float) -> str:
    """
    >>> chance(0.0003), chance(0.64), chance(1e-9)
    ('p = 0.0003', 'p = 0.64', 'p < 0.0001')
    """
    return "p < 0.0001" if p < 0.0001 else f"p = {p:.1g}" if p < 0.001 else f"p = {p:.2g}"


def exchanged(found: Paired) -> str:
    """The tasks that the two sides do not solve alike."""
    return f"{found.gained:,} tasks gained and {found.lost:,} lost"


def size(found: Frontier) -> str:
    """
    >>> size(Frontier(size=7, coverage=0.3, low=7, high=8, largest=10))
    '7 [7, 8]'
    >>> size(Frontier(size=None, coverage=None, low=None, high=5, largest=5))
    'none [none, 5 or more]'
    """
    high = "none" if found.high is None else f"{found.high}{' or more' if found.high == found.largest else ''}"
    return f"{_or_none(found.size)} [{_or_none(found.low)}, {high}]"


def sizes(found: Mapping[str, Frontier]) -> str:
    """The frontiers of several domains, or that of the only one."""
    if len(found) == 1:
        return size(*found.values())
    return listed(f"{size(one)} in {domain}" for domain, one in found.items())


def listed(names: Iterable[str]) -> str:
    """
    >>> listed(["a"]), listed(["a", "b", "c"])
    ('a', 'a, b and c')
    """
    every: Sequence[str] = list(names)
    return " and ".join([", ".join(every[:-1]), every[-1]] if len(every) > 1 else every)


def _or_none(number: int | None) -> str:
    return "none" if number is None else str(number)
