"""What is exact about a course: whether a straight move touches an obstacle, leaves the field, or arrives.

The answers rest on shapely, whose tests of position do not depend on rounding; the lengths here are whole numbers.
"""

import math
from collections.abc import Sequence
from importlib.util import find_spec
from itertools import pairwise
from typing import TYPE_CHECKING

from iterdeploy.continuous.course import Course, Point
from iterdeploy.sections import UserError

if TYPE_CHECKING:
    from shapely import Geometry


def need_shapely() -> None:
    if find_spec("shapely") is None:
        raise UserError("continuous tasks need shapely: pip install 'iterdeploy[continuous]'")


def obstacles_of(course: Course) -> "list[Geometry]":
    """Prepared for many questions."""
    from shapely import Polygon, prepare

    shapes = [Polygon(corners) for corners in course.obstacles]
    for shape in shapes:
        prepare(shape)
    return shapes


def touched(obstacles: "Sequence[Geometry]", start: Point, end: Point) -> int | None:
    """The first obstacle, counted from 1, that the straight way has a point in common with."""
    from shapely import LineString
    from shapely import Point as Place

    way = Place(start) if start == end else LineString([start, end])
    return next((number for number, shape in enumerate(obstacles, 1) if shape.intersects(way)), None)


def inside(course: Course, point: Point) -> bool:
    return 0 <= point[0] <= course.width and 0 <= point[1] <= course.height


def arrived(course: Course, point: Point) -> bool:
    return squared(point, course.goal) <= course.reach**2


def squared(first: Point, second: Point) -> int:
    """Of the distance."""
    return (first[0] - second[0]) ** 2 + (first[1] - second[1]) ** 2


def length(points: Sequence[Point]) -> float:
    """Of a way, in thousandths."""
    return sum(math.sqrt(squared(first, second)) for first, second in pairwise(points))


def hull(points: Sequence[Point]) -> list[Point]:
    """The corners of the convex hull, against the clock, by Andrew's monotone chain: whole numbers alone."""
    ordered = sorted(set(points))

    def chain(sequence: Sequence[Point]) -> list[Point]:
        out: list[Point] = []
        for point in sequence:
            while len(out) > 1 and _turn(out[-2], out[-1], point) <= 0:
                out.pop()
            out.append(point)
        return out[:-1]

    return chain(ordered) + chain(ordered[::-1])


def _turn(first: Point, second: Point, third: Point) -> int:
    """Positive to the left, 0 straight on."""
    return (second[0] - first[0]) * (third[1] - first[1]) - (second[1] - first[1]) * (third[0] - first[0])
