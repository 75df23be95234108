"""Plan files: text to steps and back.

Accepted is what VAL accepts: any case and spacing, `;` comments, blank lines, several steps on a line, and time stamps
with durations as in `0.0: (pick-up a) [1]`. Anything else is an error, never a silently shorter plan. To find a plan
in the prose of a language model is another matter, and not done here.
"""

import re
from collections.abc import Iterable, Sequence
from itertools import pairwise
from operator import itemgetter

from iterdeploy.pddl.reader import PddlError, normalise

Step = tuple[str, ...]
"""One ground action: its name, then its objects, all lower case."""

_STEP = re.compile(
    r"(?:(\d++(?:\.\d*+)?)[^\S\n]*+:\s*+)?"  # a time stamp
    r"\(([^()]*+)\)"  # the action
    r"(?:\s*+\[[^\[\]()\n]*+\])?"  # a duration
    r"|(\S++)"  # anything else
)


class PlanSyntaxError(PddlError):
    """The text is not a plan file."""


def parse_plan(text: str) -> list[Step]:
    """The steps of a plan file.

    >>> parse_plan("0: (Pick-Up a) [1] ; first\\n1: (stack a b)")
    [('pick-up', 'a'), ('stack', 'a', 'b')]
    """
    plain = normalise(text)
    steps: list[Step] = []
    times: list[float] = []
    for match in _STEP.finditer(plain):
        time, action, junk = match.groups()
        step = tuple(action.split()) if action else ()
        if not step:
            line = plain.count("\n", 0, match.start()) + 1
            raise PlanSyntaxError(f"expected a step such as (pick-up a), not {(junk or match[0])[:60]}", line)
        steps.append(step)
        if time:
            times.append(float(time))
    return _in_time(times, steps) if times else steps


def _in_time(times: Sequence[float], steps: Sequence[Step]) -> list[Step]:
    """The steps in the order of their stamps, which need not be that of the lines."""
    if len(times) != len(steps):
        raise PlanSyntaxError("some steps have a time stamp and some have none: give all or none of them one")
    stamped = sorted(zip(times, steps, strict=True), key=itemgetter(0))
    for (before, first), (after, second) in pairwise(stamped):
        if before == after:
            both = f"{format_step(first)} and {format_step(second)}"
            raise PlanSyntaxError(f"{both} have the same time stamp: steps at the same time are not supported")
    return [step for _, step in stamped]


def format_step(step: Step) -> str:
    return "(" + " ".join(step) + ")"


def format_plan(steps: Iterable[Step]) -> str:
    """The text of a plan file, one step a line.

    >>> format_plan([("pick-up", "a"), ("stack", "a", "b")])
    '(pick-up a)\\n(stack a b)\\n'
    """
    return "".join([format_step(step) + "\n" for step in steps])
