"""A field with polygons in it, through which a point robot has to find its way; and how it is written as text.

All lengths are whole thousandths, so that every test of geometry has exact coordinates.
"""

import json
import re
from dataclasses import dataclass

Point = tuple[int, int]
"""x and y, in thousandths."""

UNIT = 1000
_NUMBER = re.compile(r"-?\d{1,6}(?:\.\d{1,3})?")


@dataclass(frozen=True, slots=True)
class Course:
    width: int
    height: int
    obstacles: tuple[tuple[Point, ...], ...]
    """Corners of each polygon in order."""
    start: Point
    goal: Point
    reach: int
    """The robot has arrived when it is no farther than this from the goal."""
    longest: int
    """Length that no move may exceed."""

    @property
    def text(self) -> str:
        """
        >>> triangle = ((1000, 1000), (2000, 1000), (1000, 2500))
        >>> print(Course(4000, 4000, (triangle,), (0, 0), (3000, 3000), 250, 2000).text)
        course
        field 4 4
        obstacle 1 1 2 1 1 2.5
        start 0 0
        goal 3 3
        reach 0.25
        longest 2
        <BLANKLINE>
        """
        lines: list[tuple[str, list[int]]] = [
            ("field", [self.width, self.height]),
            *(("obstacle", [value for point in corners for value in point]) for corners in self.obstacles),
            ("start", [*self.start]),
            ("goal", [*self.goal]),
            ("reach", [self.reach]),
            ("longest", [self.longest]),
        ]
        return "course\n" + "".join(f"{name} {' '.join(map(decimal, values))}\n" for name, values in lines)

    @property
    def drawing(self) -> str:
        """What the explorer shows, as JSON."""
        return json.dumps(
            {
                "size": [self.width, self.height],
                "obstacles": self.obstacles,
                "start": self.start,
                "goal": self.goal,
                "reach": self.reach,
                "unit": UNIT,
            }
        )

    @staticmethod
    def parse(text: str) -> "Course":
        """From `text`, which this class wrote."""
        values: dict[str, list[list[int]]] = {}
        for line in text.splitlines()[1:]:
            name, *numbers = line.split()
            values.setdefault(name, []).append([thousandths(number) for number in numbers])
        (width, height), (start_x, start_y), (goal_x, goal_y) = (values[name][0] for name in ("field", "start", "goal"))
        corners = [tuple(zip(row[::2], row[1::2], strict=True)) for row in values.get("obstacle", [])]
        reach, longest = values["reach"][0][0], values["longest"][0][0]
        return Course(width, height, tuple(corners), (start_x, start_y), (goal_x, goal_y), reach, longest)


def thousandths(text: str) -> int:
    """ValueError for what is not a number with up to three decimal places.

    >>> thousandths("-1.5")
    -1500
    """
    if not _NUMBER.fullmatch(text):
        raise ValueError(f"{text[:40]} is not a number with up to three decimal places")
    whole, _, places = text.partition(".")
    size = int(whole.lstrip("-")) * UNIT + int(places.ljust(3, "0") or "0")
    return -size if text.startswith("-") else size


def decimal(value: int) -> str:
    """
    >>> decimal(-1500), decimal(40)
    ('-1.5', '0.04')
    """
    whole, places = divmod(abs(value), UNIT)
    return f"{'-' * (value < 0)}{whole}.{places:03}".rstrip("0").rstrip(".")
