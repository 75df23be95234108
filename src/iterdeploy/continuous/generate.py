"""Random courses: convex polygons in a square field, and a goal that is not in sight of the start.

A course of size n has n obstacles in a field whose side grows with the root of n. They keep apart from one another,
from the edge of the field, and from start and goal, by more than the planner's margins, so there is always a way.
"""

from math import isqrt

from iterdeploy.continuous.course import UNIT, Course, Point
from iterdeploy.continuous.geometry import hull, obstacles_of, squared, touched
from iterdeploy.planning.rng import Rng

APART = 800
"""Least distance of an obstacle from others, from start and goal, and from the field's edge, in thousandths."""
REACH, LONGEST = 300, 4000
STEP = 100
"""Coordinates have one decimal place."""
DRAWS = 400


def generate(size: int, rng: Rng) -> Course:
    """ValueError for a size below 1."""
    if size < 1:
        raise ValueError(f"the smallest course has 1 obstacle, not {size}")
    side = max(8 * UNIT, isqrt(14 * size * UNIT * UNIT) // UNIT * UNIT)
    while True:
        if (course := _drawn(size, side, rng)) is not None:
            return course


def _drawn(size: int, side: int, rng: Rng) -> Course | None:
    """None where the obstacles do not fit, or hide nothing."""
    from shapely import Point as Place
    from shapely import Polygon

    obstacles: list[tuple[Point, ...]] = []
    shapes: list[Polygon] = []
    for _ in range(DRAWS):
        if len(obstacles) == size:
            break
        corners = tuple(_polygon(side, rng))
        if len(corners) > 2 and all(shape.distance(Polygon(corners)) >= APART for shape in shapes):
            obstacles.append(corners)
            shapes.append(Polygon(corners))
    for _ in range(DRAWS):
        start, goal = _point(side, 0, rng), _point(side, 0, rng)
        course = Course(side, side, tuple(obstacles), start, goal, REACH, LONGEST)
        free = all(shape.distance(Place(point)) >= APART for shape in shapes for point in (start, goal))
        if free and squared(start, goal) > (side // 3) ** 2 and touched(obstacles_of(course), start, goal):
            return course if len(obstacles) == size else None
    return None


def _polygon(side: int, rng: Rng) -> list[Point]:
    half = STEP * rng.between(6, 14)
    x, y = _point(side, APART + half, rng)
    scattered = [(rng.between(-half, half), rng.between(-half, half)) for _ in range(rng.between(4, 8))]
    return hull([(x + dx // STEP * STEP, y + dy // STEP * STEP) for dx, dy in scattered])


def _point(side: int, margin: int, rng: Rng) -> Point:
    low, high = margin // STEP + 1, (side - margin) // STEP - 1
    return (STEP * rng.between(low, high), STEP * rng.between(low, high))
