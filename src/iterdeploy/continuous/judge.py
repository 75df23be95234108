"""From an answer to its verdict: the moves that stand in it, tried one after the other."""

import math
import re
from collections.abc import Sequence

from iterdeploy.continuous.course import UNIT, Course, Point, decimal, thousandths
from iterdeploy.continuous.geometry import arrived, inside, length, obstacles_of, squared, touched
from iterdeploy.types import JSON, Completion, Task, Verdict

VALIDATOR = "iterdeploy.continuous"
_PLAN = re.compile(r"<plan>\n?(.*?)\s*(?:</plan>|\Z)", re.DOTALL)
_MOVE = re.compile(r"\(move (\S+) (\S+)\)")
MOST_MOVES = 10_000


def judge(task: Task, completions: Sequence[Completion]) -> Verdict:
    last = completions[-1]
    if last.finish_reason == "length":
        return Verdict.truncated(validator=VALIDATOR)
    try:
        moves = read_moves(last.text)
    except ValueError as error:
        return Verdict.unparseable(str(error), validator=VALIDATOR)
    course = Course.parse(task.payload["course"])
    answer: JSON = [["move", decimal(dx), decimal(dy)] for dx, dy in moves]
    failed, reason, points = tried(course, moves)
    facts = {"plan_length": float(len(moves)), "strict": 1.0}
    if failed is not None:
        facts["failed_step"] = float(failed)
    if reason:
        return Verdict.invalid(reason, answer, facts=facts, validator=VALIDATOR)
    facts["cost"] = length(points) / UNIT
    if reference := task.payload.get("reference_cost"):
        facts["cost_ratio"] = facts["cost"] / float(reference)
    return Verdict.valid(answer, facts=facts, validator=VALIDATOR)


def read_moves(text: str) -> list[Point]:
    """The moves in the last <plan> after the reasoning, one a line. ValueError, in words, where there is none."""
    found = _PLAN.findall(text.rpartition("</think>")[2])
    if "<think>" in text and "</think>" not in text:
        raise ValueError("the reasoning never ends")
    if not found:
        raise ValueError("there is no <plan>")
    moves: list[Point] = []
    for number, line in enumerate(found[-1].strip().splitlines(), 1):
        match = _MOVE.fullmatch(line.strip())
        try:
            if match is None:
                raise ValueError("it is not of the form (move dx dy)")
            moves.append((thousandths(match[1]), thousandths(match[2])))
        except ValueError as error:
            raise ValueError(f"line {number} of the plan cannot be read as a move: {error}") from None
    if len(moves) > MOST_MOVES:
        raise ValueError(f"the plan has more than {MOST_MOVES} moves")
    return moves


def tried(course: Course, moves: Sequence[Point]) -> tuple[int | None, str, list[Point]]:
    """The first move that cannot be made, counted from 1; the reason, empty where all is well; the points reached."""
    obstacles = obstacles_of(course)
    points = [course.start]
    for number, (dx, dy) in enumerate(moves, 1):
        here = points[-1]
        there = (here[0] + dx, here[1] + dy)
        move = f"step {number} (move {decimal(dx)} {decimal(dy)})"
        if dx * dx + dy * dy > course.longest**2:
            return number, f"{move}: it is longer than {decimal(course.longest)}", points
        if not inside(course, there):
            return number, f"{move}: it ends outside the field, at {_shown(there)}", points
        if hit := touched(obstacles, here, there):
            return number, f"{move}: from {_shown(here)} to {_shown(there)} it touches obstacle {hit}", points
        points.append(there)
    if arrived(course, points[-1]):
        return None, "", points
    left = decimal(round(math.sqrt(squared(points[-1], course.goal))))
    return None, f"goal not reached: {_shown(points[-1])} is {left} away from {_shown(course.goal)}", points


def _shown(point: Point) -> str:
    return f"({decimal(point[0])}, {decimal(point[1])})"
