"""The task set `kind = "continuous"`: a point robot finds its way past polygons, by moves in any direction."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import cached_property, lru_cache
from itertools import cycle, islice

from iterdeploy.config import RunConfig, TasksConfig
from iterdeploy.continuous.course import Course, decimal
from iterdeploy.continuous.generate import generate
from iterdeploy.continuous.geometry import length, need_shapely
from iterdeploy.continuous.judge import judge
from iterdeploy.continuous.planner import NoWay, solve, waypoints
from iterdeploy.planning.rng import Rng
from iterdeploy.sections import ConfigError, parse_sizes
from iterdeploy.tasks.judging import Judges, LocalJudges
from iterdeploy.types import Completion, Demonstration, Split, Task, Verdict

KEYS = ("kind", "sizes", "deployed", "held_out", "fresh", "prompt", "examples", "references")
INSTRUCTIONS = """A robot, which is a point, is in a rectangular field with polygons in it. Lead it to the goal.
Below, `field` gives the field's width and height; one corner of it is (0, 0). Each `obstacle` lists the corners of a
polygon as x y x y ... Each move (move dx dy) takes the robot along a straight line, dx to the right and dy up, and may
not touch an obstacle, leave the field, or be longer than `longest`. Numbers have up to three decimal places. The robot
must end no farther than `reach` from the goal. Short ways are better. You may think first, between <think> and
</think>. Then write the moves, one a line, in this form:

<plan>
(move 1.5 -0.25)
(move 0 2)
</plan>

"""


class ContinuousTasks:
    """Courses of the configured sizes, which are numbers of obstacles. ConfigError for what cannot be made."""

    def __init__(self, config: TasksConfig, seed: int) -> None:
        need_shapely()
        unset = TasksConfig.model_validate({"kind": config.kind})
        for key in TasksConfig.model_fields:
            if key not in KEYS and getattr(config, key) != getattr(unset, key):
                raise ConfigError(f'tasks.{key}: cannot be used with tasks.kind = "continuous"')
        if not isinstance(config.sizes, str) or not config.deployed:
            raise ConfigError('tasks.sizes and tasks.deployed: for example sizes = "1-3" and deployed = 100')
        try:
            self._sizes = parse_sizes(config.sizes)
        except ValueError as error:
            raise ConfigError(f"tasks.sizes: {error}") from None
        if min(self._sizes) < 1:
            raise ConfigError("tasks.sizes: the smallest course has 1 obstacle")
        self._config = config
        self._seed = seed

    @classmethod
    def of(cls, config: RunConfig) -> "ContinuousTasks":
        return cls(config.tasks, config.seed)

    @cached_property
    def held_out(self) -> list[Task]:
        """The tasks that only measure, the same in every generation."""
        return self._make(Split.HELD_OUT, self._config.held_out, "held-out", set())

    def deployed(self, generation: int) -> list[Task]:
        """The same in every generation, unless the configuration says fresh."""
        return self._deployed(generation if self._config.fresh else 0)

    def demonstrations(self, domain: str) -> Sequence[Demonstration]:
        """As many as `tasks.examples` says, of courses that are neither held out nor deployed."""
        return [Demonstration(task.prompt, _answer(Course.parse(task.payload["course"]))) for task in self._examples]

    def judge(self, task: Task, completions: Sequence[Completion]) -> Verdict:
        return judge(task, completions)

    def judges(self) -> Judges:
        return LocalJudges(self.judge)

    def order(self, verdict: Verdict) -> tuple[float, ...]:
        """The shorter way is the better one, then the one with fewer moves."""
        return (verdict.facts["cost"], verdict.facts["plan_length"])

    def describe(self) -> Mapping[str, str]:
        return {"Tasks": f"courses with {self._config.sizes} obstacles", "Prompts": self._config.prompt}

    @cached_property
    def _examples(self) -> list[Task]:
        apart = {task.payload["course"] for task in self.held_out}
        return self._make(Split.DEPLOYED, self._config.examples, "examples", apart, _has_way)

    @lru_cache(maxsize=2)  # noqa: B019 - one task set lives as long as its run
    def _deployed(self, batch: int) -> list[Task]:
        apart = {task.payload["course"] for task in [*self.held_out, *self._examples]}
        return self._make(Split.DEPLOYED, self._config.deployed, f"deployed-{batch}", apart)

    def _make(
        self,
        split: Split,
        count: int,
        stream: str,
        avoid: set[str],
        wanted: Callable[[Course], bool] = lambda course: True,
    ) -> list[Task]:
        seen = set(avoid)
        tasks: list[Task] = []
        for index, size in enumerate(islice(cycle(self._sizes), count)):
            rng = Rng("course", self._seed, stream, index)
            course = generate(size, rng)
            while course.text in seen or not wanted(course):
                course = generate(size, rng)
            seen.add(course.text)
            tasks.append(make_task(course, size, split, self._config))
        return tasks


def make_task(course: Course, size: int, split: Split, config: TasksConfig) -> Task:
    payload = {"course": course.text, "drawing": course.drawing}
    if config.references == "scripted":
        with suppress(NoWay):
            payload["reference_cost"] = decimal(round(length(waypoints(course))))
    prompt = (INSTRUCTIONS if config.prompt == "full" else "") + course.text
    return Task.make(domain="course", size=size, split=split.value, prompt=prompt, payload=payload)


def _has_way(course: Course) -> bool:
    try:
        solve(course)
    except NoWay:
        return False
    return True


def _answer(course: Course) -> str:
    moves = "".join(f"(move {decimal(dx)} {decimal(dy)})\n" for dx, dy in solve(course))
    return f"<plan>\n{moves}</plan>"
