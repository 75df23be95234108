"""Two coverages of different tasks."""

import math
from dataclasses import dataclass
from statistics import NormalDist

from iterdeploy.metrics.records import Interval, Point


@dataclass(frozen=True, slots=True)
class Difference:
    value: float
    interval: Interval
    p: float
    """Two-sided p-value of the hypothesis that there is no difference."""


def unpaired(before: Point, after: Point) -> Difference:
    """After less before, from their own intervals: Newcombe's hybrid (1998, method 10), which Zou and Donner (2008)
    show to hold for any two independent estimates whose intervals do.

    The p-value is that at which its end towards 0, as the end of a normal distribution's interval, reaches 0.

    >>> found = unpaired(Point(0.5, 0.4, 0.6), Point(0.7, 0.6, 0.8)).interval
    >>> round(found.low, 4), round(found.high, 4)
    (0.0586, 0.3414)
    """
    assert before.low is not None and before.high is not None and after.low is not None and after.high is not None
    value = after.value - before.value
    down = math.hypot(after.value - after.low, before.high - before.value)
    up = math.hypot(after.high - after.value, before.value - before.low)
    z = NormalDist().inv_cdf(0.975)
    towards = down if value > 0 else up
    p = 2 * (1 - NormalDist().cdf(z * abs(value) / towards)) if towards else float(not value)
    return Difference(value, Interval(max(-1.0, value - down), min(1.0, value + up)), p)
