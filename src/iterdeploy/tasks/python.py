"""Other people's task sets: any class with `held_out`, `deployed` and `judge`, found through the registry.

A class with `environment` instead of `judge` has tasks that take several turns (`environment`).

Its own keys stand in [tasks.options]. Where the class, or its module, has a pydantic model named Options, it checks
them before anything expensive starts, and the class gets the model; otherwise it gets a plain dictionary.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property

from iterdeploy import registry
from iterdeploy.config import RunConfig, TasksConfig
from iterdeploy.sections import ConfigError
from iterdeploy.tasks import CLASSES, TASKSETS
from iterdeploy.tasks.environment import Episodes, Reply
from iterdeploy.tasks.judging import Judges, ProcessJudges
from iterdeploy.types import Completion, Demonstration, Split, Task, Verdict, content_hash

MEMBERS = ("held_out", "deployed")


class PythonTasks:
    """The task set that `tasks.kind` names, with everything that it hands over checked."""

    def __init__(self, config: RunConfig, alive: Callable[[], None] = lambda: None) -> None:
        """`alive` is called before every step of an environment."""
        self._config = config
        self._kind = config.tasks.kind
        made = registry.find(self._kind, TASKSETS | CLASSES, "iterdeploy.tasksets", "tasks.kind")
        _check_keys(config.tasks)
        options = registry.options(made, config.tasks.options, "tasks.options")
        try:
            self._tasks = made(options, config.seed)
        except ConfigError:
            raise
        except Exception as error:
            raise ConfigError(f"tasks.kind: {self._kind} fails when it is made: {registry.described(error)}") from error
        self._shown: dict[str, Sequence[Demonstration]] = {}
        self._episodes: Episodes | None = None
        if hasattr(self._tasks, "environment"):
            threshold = float(getattr(self._tasks, "threshold", 1.0))
            self._episodes = Episodes(self._tasks.environment, config.sampling.max_turns, threshold, alive)
        members = (*MEMBERS, "judge" if self._episodes is None else "environment")
        if missing := [name for name in members if not hasattr(self._tasks, name)]:
            raise ConfigError(f"tasks.kind: {self._kind} has no {missing[0]!r}; a task set has {', '.join(members)}")

    @property
    def name(self) -> str:
        """The name of the class or of the entry point."""
        return self._kind.rpartition(":")[2]

    @cached_property
    def held_out(self) -> Sequence[Task]:
        return self._checked(self._tasks.held_out, Split.HELD_OUT)

    def deployed(self, generation: int) -> Sequence[Task]:
        """Each task once, and none that is held out as well: nothing of those may ever train."""
        apart = {_content(task) for task in self.held_out}
        tasks = self._checked(self._tasks.deployed(generation), Split.DEPLOYED)
        if not tasks:
            raise ConfigError(f"tasks.kind: {self._kind} deploys no task in generation {generation}")
        domains = {task.domain for task in [*self.held_out, *tasks]}
        shown = {example.prompt for domain in domains for example in self.demonstrations(domain)}
        return [task for task in tasks if _content(task) not in apart and task.prompt not in shown]

    def demonstrations(self, domain: str) -> Sequence[Demonstration]:
        """As many as `tasks.examples` says. ConfigError if the class makes none, or shows a held-out task."""
        count = self._config.tasks.examples
        if domain not in self._shown:
            self._shown[domain] = self._demonstrations(domain, count) if count else []
        return self._shown[domain]

    def _demonstrations(self, domain: str, count: int) -> Sequence[Demonstration]:
        if not hasattr(self._tasks, "demonstrations"):
            raise ConfigError(f"tasks.examples: {self._kind} has no method `demonstrations(domain, count)`")
        made = list(self._tasks.demonstrations(domain, count))
        asked = {task.prompt for task in self.held_out}
        if len(made) != count or any(not isinstance(each, Demonstration) or each.prompt in asked for each in made):
            raise ConfigError(
                f"tasks.examples: {self._kind} gives {made!r:.200} for {domain}: it must give {count} records "
                "Demonstration(prompt, answer), none of them of a held-out task"
            )
        return made

    def judges(self) -> Judges:
        return ProcessJudges(self._config, 1 if self._episodes is None else self._config.sampling.max_turns)

    def judge(self, task: Task, completions: Sequence[Completion]) -> Reply:
        """In this process, which is one that `judges` started. Raises what other people's code raises."""
        if self._episodes is not None:
            return self._episodes.reply(task, completions)
        if completions[-1].finish_reason == "length":
            return Verdict.truncated()
        verdict: Verdict = self._tasks.judge(task, completions)
        return verdict

    def describe(self) -> Mapping[str, str]:
        described = self._tasks.describe() if hasattr(self._tasks, "describe") else {}
        return {"Tasks": self.name, **{str(label): str(text) for label, text in described.items()}}

    def order(self, verdict: Verdict) -> tuple[float, ...]:
        """Of two valid answers to a task the one with the higher reward is better, unless the task set has an order."""
        return tuple(self._tasks.order(verdict)) if hasattr(self._tasks, "order") else (-verdict.reward,)

    def _checked(self, tasks: Iterable[Task], split: Split) -> list[Task]:
        unique: dict[str, Task] = {}
        for task in tasks:
            if not isinstance(task, Task) or task.split is not split:
                raise ConfigError(
                    f"tasks.kind: {self._kind} gives {task!r:.200} as a {split} task: make it with "
                    f'Task.make(domain=..., size=..., split="{split}", prompt=..., payload=...)'
                )
            unique.setdefault(task.id, task)
        return list(unique.values())


def _content(task: Task) -> str:
    return content_hash(task.prompt, dict(task.payload))


def _check_keys(config: TasksConfig) -> None:
    """What would be ignored in silence is refused."""
    unset = TasksConfig.model_validate({"kind": config.kind})
    for key in TasksConfig.model_fields:
        if key not in ("kind", "options", "examples") and getattr(config, key) != getattr(unset, key):
            raise ConfigError(
                f'tasks.{key}: cannot be used with tasks.kind = "{config.kind}"; put its keys into [tasks.options]'
            )
