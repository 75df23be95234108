"""The planning task set: seeded tasks of the configured domains, and the verdict on an answer.

A task's split and content follow from (seed, domain, split, generation if fresh, index) alone. Deployed and held-out
tasks never share a PDDL text, and neither do any two tasks of one split.
"""

from collections.abc import Iterator
from functools import cached_property, lru_cache

from iterdeploy.config import ConfigError, TasksConfig
from iterdeploy.pddl import Domain, Problem, validate_steps
from iterdeploy.pddl import Status as PlanStatus
from iterdeploy.planning import prompts
from iterdeploy.planning.domains import DOMAINS
from iterdeploy.planning.extract import extract_plan
from iterdeploy.planning.rng import Rng
from iterdeploy.types import Completion, Split, Status, Task, Verdict, content_hash

MAX_TRIES = 200
"""Draws of one task before we say that there are not that many different ones."""


class PlanningTasks:
    """Tasks of the configured planning domains. Raises ConfigError for what cannot be made."""

    def __init__(self, config: TasksConfig, seed: int) -> None:
        unknown = [name for name in config.domains if name not in DOMAINS]
        if unknown or not config.domains:
            raise ConfigError(
                f"tasks.domains: {', '.join(unknown) or 'empty'}; choose from {', '.join(sorted(DOMAINS))}"
            )
        for name in config.domains:
            smallest = min(ramp.low for ramp in DOMAINS[name].ramps.values())
            if min(config.size_list) < smallest:
                raise ConfigError(
                    f"tasks.sizes: {config.sizes} goes below the smallest {name} task, which has {smallest} "
                    f"{DOMAINS[name].size_unit}"
                )
        self._config = config
        self._seed = seed

    @cached_property
    def held_out(self) -> list[Task]:
        """The tasks that only measure, the same in every generation."""
        return self._make(Split.HELD_OUT, self._config.held_out, "held-out", avoid=set())

    def deployed(self, generation: int) -> list[Task]:
        """The tasks that users bring to this generation: always the same, unless the configuration says fresh."""
        return self._deployed(generation if self._config.fresh else 0)

    @lru_cache(maxsize=2)  # noqa: B019 - one task set lives as long as its run
    def _deployed(self, batch: int) -> list[Task]:
        return self._make(
            Split.DEPLOYED, self._config.deployed, f"deployed-{batch}", avoid={task.id for task in self.held_out}
        )

    def _make(self, split: Split, count: int, stream: str, avoid: set[str]) -> list[Task]:
        seen = set(avoid)
        tasks: list[Task] = []
        for name in self._config.domains:
            for index, size in zip(range(count), _cycle(self._config.size_list), strict=False):
                task = self._new_task(name, size, split, stream, index, seen)
                seen.add(task.id)
                tasks.append(task)
        return tasks

    def _new_task(self, name: str, size: int, split: Split, stream: str, index: int, seen: set[str]) -> Task:
        domain = DOMAINS[name]
        rng = Rng("task", name, self._seed, stream, index)
        for _ in range(MAX_TRIES):
            text = domain.generate(size, rng, f"{name}-{size}")
            task_id = content_hash(name, text)
            if task_id not in seen:
                problem = Problem.parse(text, _domain(domain.pddl))
                prompt = prompts.compact(domain, problem)
                return Task(task_id, name, size, split, prompt, {"domain": domain.pddl, "problem": text})
        raise ConfigError(
            f"tasks: there are not enough different {name} tasks with {size} {domain.size_unit}; lower tasks.deployed "
            "or tasks.held_out, or take larger tasks.sizes"
        )

    def judge(self, task: Task, completion: Completion) -> Verdict:
        """Extraction, then validation. Never raises: what the validator cannot judge is ERROR."""
        if completion.finish_reason == "length":
            return _no_plan(Status.TRUNCATED, "the answer ran into the token limit before it ended")
        extraction = extract_plan(completion.text)
        if extraction.steps is None:
            return _no_plan(Status.UNPARSEABLE, extraction.problem)
        domain = _domain(task.payload["domain"])
        judged = validate_steps(domain, _problem(task.payload["problem"], task.payload["domain"]), extraction.steps)
        return Verdict(
            status=Status(judged.status.value),
            reason=judged.reason if judged.status is not PlanStatus.VALID else "",
            failed_step=judged.failed_step,
            plan=extraction.steps,
            cost=judged.cost if judged.status is PlanStatus.VALID else None,
            strict=extraction.strict,
            validator="iterdeploy.pddl",
        )


def _no_plan(status: Status, reason: str) -> Verdict:
    return Verdict(status, reason, None, (), None, False, "iterdeploy.pddl")


def _cycle(sizes: tuple[int, ...]) -> Iterator[int]:
    while True:
        yield from sizes


@lru_cache(maxsize=32)
def _domain(text: str) -> Domain:
    return Domain.parse(text)


@lru_cache(maxsize=20_000)
def _problem(text: str, domain_text: str) -> Problem:
    return Problem.parse(text, _domain(domain_text))
