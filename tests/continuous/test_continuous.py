"""Ways of a point robot past polygons: what counts as a touch, generated courses, the planner, and the whole loop."""

import json
from pathlib import Path
from random import Random

import pytest

from helpers.support import iterdeploy
from iterdeploy.config import RunConfig, TasksConfig
from iterdeploy.config_file import find_config, load_config
from iterdeploy.continuous.course import Course, decimal, thousandths
from iterdeploy.continuous.generate import generate
from iterdeploy.continuous.geometry import hull
from iterdeploy.continuous.judge import judge
from iterdeploy.continuous.planner import NoWay, solve, waypoints
from iterdeploy.continuous.taskset import ContinuousTasks, make_task
from iterdeploy.planning.rng import Rng
from iterdeploy.sections import ConfigError
from iterdeploy.tasks import task_set
from iterdeploy.types import Completion, Split, Status, Verdict

WALL = Course(
    width=10_000,
    height=10_000,
    obstacles=(((4000, 2000), (6000, 2000), (6000, 8000), (4000, 8000)),),
    start=(2000, 5000),
    goal=(8000, 5000),
    reach=300,
    longest=5000,
)
CONFIG = TasksConfig.model_validate({"kind": "continuous"})


def judged(text: str, course: Course = WALL, finish: str = "stop") -> Verdict:
    task = make_task(course, 1, Split.DEPLOYED, CONFIG)
    return judge(task, [Completion(text, (1,), (2,), None, finish, 0)])


def plan(*moves: str) -> str:
    return "<plan>\n" + "".join(f"(move {move})\n" for move in moves) + "</plan>"


@pytest.mark.parametrize(
    ("moves", "failed", "reason"),
    [
        (["1.5 -4", "4.5 0", "0 4"], None, ""),
        (["1.5 -4", "4.5 0", "0 3.7"], None, ""),  # just near enough
        (["1.5 -4", "4.5 0", "0 3.699"], None, "goal not reached: (8, 4.699) is 0.301 away from (8, 5)"),
        (["2 0"], 1, "step 1 (move 2 0): from (2, 5) to (4, 5) it touches obstacle 1"),
        (["1.999 0"], None, "goal not reached: (3.999, 5) is 4.001 away from (8, 5)"),
        (["1.999 -3.5", "0.001 0.5"], 2, "step 2 (move 0.001 0.5): from (3.999, 1.5) to (4, 2) it touches obstacle 1"),
        (["1 -4", "0 0", "5 0", "0 4"], None, ""),
        (["0 5.001"], 1, "step 1 (move 0 5.001): it is longer than 5"),
        (["0 5", "0 0.001"], 2, "step 2 (move 0 0.001): it ends outside the field, at (2, 10.001)"),
        ([], None, "goal not reached: (2, 5) is 6 away from (8, 5)"),
    ],
)
def test_moves_are_tried_exactly(moves, failed, reason):
    verdict = judged(plan(*moves))
    assert (verdict.status, verdict.reason) == (Status.INVALID if reason else Status.VALID, reason)
    assert verdict.facts.get("failed_step") == failed
    assert verdict.answer == [["move", *map(decimal, map(thousandths, move.split()))] for move in moves]


def test_a_line_that_only_grazes_a_corner_touches():
    """(3, 1) to (5, 3) passes the corner (4, 2); a thousandth lower it does not."""
    assert judged(plan("1 -4", "2 2")).facts["failed_step"] == 2
    assert judged(plan("1 -4.001", "1 1", "2 -1")).reason.startswith("goal not reached")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("(move 1 1)", "there is no <plan>"),
        ("<think>\n<plan>\n(move 1 1)\n</plan>", "the reasoning never ends"),
        ("<plan>\n(move 1 1)\nthen\n</plan>", "line 2 of the plan"),
        (plan("1"), "line 1 of the plan"),
        (plan("1 1e2"), "1e2 is not a number"),
        (plan("1 0.0001"), "0.0001 is not a number with up to three decimal places"),
        (plan("nan 1"), "nan is not a number"),
        (plan("9999999 1"), "is not a number"),
    ],
)
def test_what_is_not_a_plan_is_unparseable(text, reason):
    verdict = judged(text)
    assert verdict.status is Status.UNPARSEABLE and reason in verdict.reason


def test_the_last_plan_after_the_reasoning_counts():
    right = plan("1.5 -4", "4.5 0", "0 4")
    assert judged(f"<think>{plan('1 1')}</think>\n{plan('1 1')}\n{right}").status is Status.VALID
    assert judged(right, finish="length").status is Status.TRUNCATED


def test_costs_are_lengths_next_to_the_planners():
    verdict = judged(plan("1.5 -4", "4.5 0", "0 4"))
    assert verdict.facts["cost"] == pytest.approx((1.5**2 + 16) ** 0.5 + 8.5)
    reference = float(make_task(WALL, 1, Split.DEPLOYED, CONFIG).payload["reference_cost"])
    assert verdict.facts["cost_ratio"] == pytest.approx(verdict.facts["cost"] / reference)
    assert verdict.facts["cost_ratio"] > 1


@pytest.mark.parametrize("size", [1, 2, 3, 5, 9, 16])
def test_the_planner_solves_every_generated_course(size):
    for seed in range(4):
        course = generate(size, Rng("test", size, seed))
        assert len(course.obstacles) == size
        assert Course.parse(course.text) == course
        moves = [f"{decimal(dx)} {decimal(dy)}" for dx, dy in solve(course)]
        assert len(moves) > 1  # the straight way is blocked
        verdict = judged(plan(*moves), course)
        assert verdict.valid, verdict.reason
        assert verdict.facts["cost_ratio"] < 1.001


def test_a_walled_in_goal_has_no_way():
    def bar(left: int, bottom: int, right: int, top: int) -> tuple[tuple[int, int], ...]:
        return ((left, bottom), (right, bottom), (right, top), (left, top))

    around = (
        bar(7000, 4000, 9000, 4200),
        bar(7000, 5800, 9000, 6000),
        bar(6800, 4000, 7000, 6000),
        bar(9000, 4000, 9200, 6000),
    )
    course = Course(10_000, 10_000, around, (1000, 1000), (8000, 5000), 300, 4000)
    with pytest.raises(NoWay):
        waypoints(course)
    assert "reference_cost" not in make_task(course, 4, Split.DEPLOYED, CONFIG).payload


@pytest.mark.slow
def test_verdicts_agree_with_a_search_along_the_line():
    """Random segments: points on them in steps of a thousandth, tested by the sides of the polygon's edges."""
    random = Random(0)
    course = generate(4, Rng("line"))

    def within(point, corners):
        sides = [
            (b[0] - a[0]) * (point[1] - a[1]) - (b[1] - a[1]) * (point[0] - a[0])
            for a, b in zip(corners, (*corners[1:], corners[0]), strict=True)
        ]
        return all(side >= 0 for side in sides)

    hits = 0
    for _ in range(300):
        dx, dy = random.randint(-3000, 3000), random.randint(-3000, 3000)
        x, y = course.start
        points = [(x + dx * step / 3000, y + dy * step / 3000) for step in range(3001)]
        hit = any(within(point, corners) for point in points for corners in course.obstacles)
        verdict = judged(plan(f"{decimal(dx)} {decimal(dy)}"), course)
        hits += hit
        if hit:
            assert "touches" in verdict.reason or "outside" in verdict.reason or "longer" in verdict.reason
        else:
            assert "touches" not in verdict.reason
    assert 5 < hits < 295


def test_the_hull():
    square = [(0, 0), (2, 0), (2, 2), (0, 2)]
    assert hull([*square, (1, 1), (1, 0), (0, 2)]) == square


def config(**tasks: object) -> RunConfig:
    values = {"generations": 1, "model": {"name": "m"}, "training": {"learning_rate": 1e-3}}
    return RunConfig.model_validate({**values, "tasks": {"kind": "continuous", "deployed": 4, "held_out": 2, **tasks}})


def test_the_task_set():
    tasks = task_set(config(sizes="1-2"))
    assert isinstance(tasks, ContinuousTasks)
    deployed = list(tasks.deployed(0))
    assert [task.size for task in deployed] == [1, 2, 1, 2]
    assert len({task.id for task in [*deployed, *tasks.held_out]}) == 6
    assert deployed == list(tasks.deployed(1)) == list(task_set(config(sizes="1-2")).deployed(0))
    fresh = task_set(config(sizes="1-2", fresh=True))
    assert not {task.id for task in fresh.deployed(0)} & {task.id for task in fresh.deployed(1)}
    full = list(task_set(config(sizes="1-2", prompt="full")).deployed(0))
    assert full[0].prompt.endswith(deployed[0].prompt) and "(move 1.5 -0.25)" in full[0].prompt


def test_courses_that_are_shown_are_solved_and_asked_nowhere():
    tasks = ContinuousTasks(config(examples=3, sizes="1-2").tasks, 4)
    shown = tasks.demonstrations("course")
    assert len(shown) == 3 and not {example.prompt for example in shown} & {
        task.prompt for task in [*tasks.held_out, *tasks.deployed(0)]
    }
    for example, task in zip(shown, tasks._examples, strict=True):
        assert example.prompt == task.prompt
        assert judge(task, [Completion(example.answer, (), (), None, "stop", 0)]).status is Status.VALID


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"sizes": "0-2"}, "tasks.sizes: the smallest course has 1 obstacle"),
        ({"deployed": 0}, "tasks.sizes and tasks.deployed"),
        ({"obfuscate": True}, "tasks.obfuscate: cannot be used with tasks.kind = .continuous."),
        ({"sizes": "easy"}, "tasks.sizes"),
    ],
)
def test_what_it_does_not_know_is_refused(values, message):
    with pytest.raises(ConfigError, match=message):
        task_set(config(**values))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["smoke/continuous", "smoke/numeric"])
def test_the_smoke_configurations(name: str, tmp_path: Path) -> None:
    assert load_config(find_config(name)).generations == 2
    done = iterdeploy("run", name, "--name", "tried", "--runs-dir", tmp_path)
    assert done.returncode == 0, done.stderr
    status = json.loads(iterdeploy("status", "tried", "--runs-dir", tmp_path, "--json").stdout)
    assert len(status["generations"]) == 3
    assert all(generation["verdicts"]["error"] == 0 for generation in status["generations"])
    assert iterdeploy("report", "tried", "--runs-dir", tmp_path).returncode == 0
