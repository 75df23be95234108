"""Kinds of failure: a verdict's reason without the names that differ from task to task."""

import re

_PATTERNS = [
    (r"goal not reached: .*", "goal not reached"),
    (r"^(step|line) \d+", r"\1"),
    (r"\((\S+)( [^()]*)\)", r"(\1 …)"),
    (r"^step \(.*?\): there is no action .*", "step (…): there is no action of that name"),
    (r"(?<=: )\S+(?= is not an object)", "…"),
    (r"(['\"]).*\1", "…"),
    (r", \d+ more\b", ""),
    (r"\b\d+(\.\d+)?\b", "…"),
]


def kind(reason: str) -> str:
    """The reason with objects, quotations and numbers left out, so that failures of one kind read the same.

    >>> kind("step 3 (pickup b4): precondition (clear b4) does not hold")
    'step (pickup …): precondition (clear …) does not hold'
    >>> kind("goal not reached: (on b6 b16), (on b16 b2), 2 more do not hold")
    'goal not reached'
    """
    short = " ".join(reason.split())
    for pattern, instead in _PATTERNS:
        short = re.sub(pattern, instead, short)
    return short
