"""Student's t distribution at whole degrees of freedom, without a library."""

import math
from functools import lru_cache

STEPS = 60
"""Halvings of the quantile's bracket: more than a double has digits."""


def tail(t: float, freedom: int) -> float:
    """P(|T| > t), from the finite series of Abramowitz and Stegun (1964), 26.7.3 and 26.7.4.

    >>> round(tail(4.3027, 2), 5), round(tail(2.042, 30), 3)
    (0.05, 0.05)
    """
    angle = math.atan2(abs(t), math.sqrt(freedom))
    cosine = math.cos(angle)
    odd = freedom % 2
    term = cosine if odd else 1.0
    total = term if freedom > 1 else 0.0
    for step in range(1 + odd, freedom - 1, 2):
        term *= cosine * cosine * step / (step + 1)
        total += term
    within = 2 / math.pi * (angle + math.sin(angle) * total) if odd else math.sin(angle) * total
    return max(0.0, 1 - within)


@lru_cache
def quantile(confidence: float, freedom: int) -> float:
    """The t that |T| stays below with this probability.

    >>> round(quantile(0.95, 2), 4), round(quantile(0.9, 10), 4)
    (4.3027, 1.8125)
    """
    low, high = 0.0, 1.0
    while tail(high, freedom) > 1 - confidence:
        low, high = high, 2 * high
    for _ in range(STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if tail(middle, freedom) > 1 - confidence else (low, middle)
    return high
