"""The task sets by name. Another kind of task (any with a deterministic validator) plugs in with one line here."""

from collections.abc import Callable
from typing import Protocol

from iterdeploy.config import ConfigError, RunConfig, TasksConfig, ValidationConfig
from iterdeploy.planning.own_tasks import OwnTasks
from iterdeploy.planning.taskset import PlanningTasks
from iterdeploy.types import Completion, Task, Verdict


class TaskSet(Protocol):
    @property
    def held_out(self) -> list[Task]: ...

    def deployed(self, generation: int) -> list[Task]: ...

    def judge(self, task: Task, completion: Completion) -> Verdict: ...


TASKSETS: dict[str, Callable[[TasksConfig, int, ValidationConfig], TaskSet]] = {
    "planning": PlanningTasks,
    "pddl": OwnTasks,
}
"""Name -> maker from (what is asked for, the run's seed, who judges)."""


def task_set(config: RunConfig) -> TaskSet:
    if config.tasks.kind not in TASKSETS:
        raise ConfigError(f"tasks.kind: {config.tasks.kind!r} is not a task set; there are {', '.join(TASKSETS)}")
    return TASKSETS[config.tasks.kind](config.tasks, config.seed, config.validation)
