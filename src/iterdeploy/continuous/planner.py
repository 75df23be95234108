"""A short way for the robot: Dijkstra's algorithm over the corners of the obstacles, each grown by a margin.

Two corners see one another where the straight way between them stays clear of all obstacles. The way found is the
shortest through these corners, which is nearly the shortest of all.
"""

import heapq
from itertools import pairwise
from math import ceil, hypot

from iterdeploy.continuous.course import Course, Point
from iterdeploy.continuous.geometry import inside, obstacles_of

CORNER = 200
"""How far the ways round an obstacle stay from its corners, in thousandths."""
CLEAR = 100
"""And from its edges, at least."""
GRID = 10
"""Waypoints have two decimal places."""


class NoWay(ValueError):
    """There is none, or only one through a gap that is narrower than the margins."""


def solve(course: Course) -> list[Point]:
    """Moves, each as (dx, dy), that lead from the start to the goal."""
    points = [course.start]
    for start, end in pairwise(waypoints(course)):
        distance = hypot(end[0] - start[0], end[1] - start[1])
        pieces = ceil(distance / (0.95 * course.longest))
        points += [_on_grid(_between(start, end, i / pieces)) for i in range(1, pieces)]
        points.append(end)
    return [(end[0] - start[0], end[1] - start[1]) for start, end in pairwise(points)]


def waypoints(course: Course) -> list[Point]:
    """Start, corners on the way, goal."""
    import shapely

    obstacles = obstacles_of(course)
    grown = shapely.union_all([shape.buffer(CLEAR) for shape in obstacles])
    shapely.prepare(grown)
    round_them = [shape.buffer(CORNER, join_style="mitre", mitre_limit=2.0) for shape in obstacles]
    corners = [_on_grid(corner) for shape in round_them for corner in shape.exterior.coords[:-1]]
    free = [point for point in corners if inside(course, point) and not grown.intersects(shapely.Point(point))]
    left = list(dict.fromkeys([course.start, course.goal, *free]))
    before: dict[Point, Point] = {}
    waiting: list[tuple[float, Point, Point]] = [(0.0, course.start, course.start)]
    while waiting and course.goal not in before:
        far, place, previous = heapq.heappop(waiting)
        if place in before:
            continue
        before[place] = previous
        left.remove(place)
        blocked = shapely.intersects(grown, shapely.linestrings([[place, other] for other in left])) if left else []
        for other, hidden in zip(left, blocked, strict=True):
            if not hidden:
                heapq.heappush(waiting, (far + hypot(other[0] - place[0], other[1] - place[1]), other, place))
    if course.goal not in before:
        raise NoWay("no way from the start to the goal keeps clear of the obstacles")
    way = [course.goal]
    while way[-1] != course.start:
        way.append(before[way[-1]])
    return way[::-1]


def _between(start: Point, end: Point, share: float) -> tuple[float, float]:
    return (start[0] + share * (end[0] - start[0]), start[1] + share * (end[1] - start[1]))


def _on_grid(point: tuple[float, float]) -> Point:
    return (round(point[0] / GRID) * GRID, round(point[1] / GRID) * GRID)
