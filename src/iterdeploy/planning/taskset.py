"""The planning task set: seeded tasks of the configured domains, and the verdict on an answer.

A task's split and content follow from (seed, domain, split, generation if fresh, index) alone. Deployed and held-out
tasks never share a PDDL text, and neither do any two tasks of one split.
"""

from collections.abc import Mapping, Sequence
from functools import cached_property, lru_cache

from iterdeploy.config import RunConfig, TasksConfig, ValidationConfig
from iterdeploy.planning.domains import DOMAINS
from iterdeploy.planning.hidden import check_hidden
from iterdeploy.planning.interactive import judges_of
from iterdeploy.planning.judge import BUILT_IN, Judge, shorter_plan
from iterdeploy.planning.layout import rewritten
from iterdeploy.planning.make import make_task, prompts_in_words, task_id
from iterdeploy.planning.parsed import content, problem_of
from iterdeploy.planning.references import check_references
from iterdeploy.planning.rng import Rng
from iterdeploy.planning.shown import demonstration
from iterdeploy.sections import ConfigError
from iterdeploy.tasks.judging import Judges
from iterdeploy.types import Completion, Demonstration, Split, Task, Verdict

MAX_TRIES = 200
"""Draws of one task before we say that there are not that many different ones."""


class PlanningTasks:
    """Tasks of the configured planning domains. Raises ConfigError for what cannot be made."""

    def __init__(self, config: TasksConfig, seed: int, validation: ValidationConfig = BUILT_IN, turns: int = 1) -> None:
        """`turns`: the most that an interactive task may take."""
        for key in ("domain_file", "problem_files", "held_out_share", "held_out_files", "names"):
            if getattr(config, key) not in ("", 0, "own"):
                raise ConfigError(f'tasks.{key}: needs tasks.kind = "pddl"')
        unknown = [name for name in config.domains if name not in DOMAINS]
        if unknown or not config.domains:
            raise ConfigError(
                f"tasks.domains: {', '.join(unknown) or 'empty'}; choose from {', '.join(sorted(DOMAINS))}"
            )
        if isinstance(config.sizes, dict) and sorted(config.sizes) != sorted(config.domains):
            raise ConfigError(f"tasks.sizes: a table names each of tasks.domains once: {', '.join(config.domains)}")
        for name in config.domains:
            try:
                DOMAINS[name].sizes(config.sizes_of(name), 1)
            except ValueError as error:
                raise ConfigError(f"tasks.sizes: {error}") from None
        if config.schedule == "frontier" and any(
            config.sizes_of(name) in DOMAINS[name].ramps for name in config.domains
        ):
            raise ConfigError('tasks.sizes: with tasks.schedule = "frontier" write the sizes out, such as "2-12"')
        if config.examples and config.interactive:
            raise ConfigError("tasks.examples: cannot be used with tasks.interactive: examples show a whole plan")
        check_hidden(config, [DOMAINS[name].pddl for name in config.domains])
        check_references(config.references)
        self._config = config
        self._seed = seed
        self._judge = Judge(validation)
        self._turns = turns

    @classmethod
    def of(cls, config: RunConfig) -> "PlanningTasks":
        return cls(config.tasks, config.seed, config.validation, config.sampling.max_turns)

    @cached_property
    def held_out(self) -> list[Task]:
        """The tasks that only measure, the same in every generation."""
        return self._make(Split.HELD_OUT, self._config.held_out, "held-out", set(), self._sizes)

    def deployed(self, generation: int) -> list[Task]:
        """The tasks that users bring to this generation: always the same, unless the configuration says fresh."""
        return self._deployed(generation if self._config.renewed else 0, tuple(self._sizes.items()))

    def deployed_at(self, generation: int, sizes: Mapping[str, Sequence[int]]) -> list[Task]:
        """As many new tasks of each domain, of these sizes in turn."""
        return self._deployed(generation, tuple((name, ",".join(map(str, of))) for name, of in sizes.items()))

    def demonstrations(self, domain: str) -> Sequence[Demonstration]:
        """As many as `tasks.examples` says, in the order in which they are shown."""
        return [demonstration(task) for task in self._examples if task.domain == domain]

    def judge(self, task: Task, completions: Sequence[Completion]) -> Verdict:
        return self._judge.judge(task, completions)

    def judges(self) -> Judges:
        return judges_of(self._config, self._judge, self._turns)

    def order(self, verdict: Verdict) -> tuple[float, ...]:
        """The shorter plan is the better one."""
        return shorter_plan(verdict)

    def describe(self) -> Mapping[str, str]:
        config = self._config
        return {
            "Tasks": f"{', '.join(config.domains)}, {config.sizes_in_words}",
            "Prompts": prompts_in_words(config),
            "Deployed tasks": f"{'new ones' if config.fresh else 'the same ones'} in every generation",
        }

    @cached_property
    def _sizes(self) -> Mapping[str, str]:
        return {name: self._config.sizes_of(name) for name in self._config.domains}

    @cached_property
    def _examples(self) -> list[Task]:
        """Made after the held-out and before the deployed tasks, so that they are neither: not even in other words."""
        apart = frozenset(map(_content, self.held_out)) if self._config.examples else frozenset()
        return self._make(Split.DEPLOYED, self._config.examples, "examples", set(), self._sizes, apart)

    @lru_cache(maxsize=2)  # noqa: B019 - one task set lives as long as its run
    def _deployed(self, batch: int, sizes: tuple[tuple[str, str], ...]) -> list[Task]:
        avoid = {task.id for task in self.held_out}
        others = [*self._examples, *(self.held_out if self._config.layout != "own" else [])]
        apart = frozenset(map(_content, others))
        return self._make(Split.DEPLOYED, self._config.deployed, f"deployed-{batch}", avoid, dict(sizes), apart)

    def _make(
        self,
        split: Split,
        count: int,
        stream: str,
        avoid: set[str],
        sizes: Mapping[str, str],
        apart: frozenset[str] = frozenset(),
    ) -> list[Task]:
        """`sizes`: domain -> its sizes, as the configuration writes them. `avoid`: ids, and `apart`: contents, of tasks
        that are not made."""
        seen = set(avoid)
        tasks: list[Task] = []
        for name in self._config.domains:
            for index, size in enumerate(DOMAINS[name].sizes(sizes[name], count)):
                text = self._new_text(name, size, stream, index, seen, apart)
                seen.add(task_id(name, text))
                tasks.append(make_task(DOMAINS[name].pddl, text, name, size, split, self._config))
        return tasks

    def _new_text(self, name: str, size: int, stream: str, index: int, seen: set[str], apart: frozenset[str]) -> str:
        domain = DOMAINS[name]
        rng = Rng("task", name, self._seed, stream, index)
        for _ in range(MAX_TRIES):
            text = domain.generate(size, rng, f"{name}-{size}")
            if self._config.layout != "own":
                text = rewritten(text, domain.pddl, rng, cut=self._config.layout == "partial")
            if task_id(name, text) not in seen and not (apart and content(problem_of(text, domain.pddl)) in apart):
                return text
        raise ConfigError(
            f"tasks: there are not enough different {name} tasks with {size} {domain.size_unit}; lower tasks.deployed "
            "or tasks.held_out, or take larger tasks.sizes"
        )


def _content(task: Task) -> str:
    return content(problem_of(task.payload["problem"], task.payload["domain"]))
