"""Where tasks come from and who judges the answers: the package's own task sets, or anybody's class.

`kind = "sums.py:Sums"` in a configuration is all that it takes to use a class of these members:

    class Sums:
        def __init__(self, options, seed): ...      # [tasks.options], as checked by a pydantic model named Options
        held_out: Sequence[Task]                    # never trained on
        def deployed(self, generation): ...         # the tasks that users bring to this generation
        def judge(self, task, completions): ...     # -> Verdict; called in several processes at once
        def describe(self): ...                     # optional; {"Tasks": "sums of two numbers"}, for reports
        def order(self, verdict): ...               # optional; a tuple, the smaller the better the valid answer
        def demonstrations(self, domain, count): ...   # optional; for tasks.examples: tasks with answers
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Protocol, runtime_checkable

from iterdeploy import registry
from iterdeploy.config import RunConfig, TasksConfig
from iterdeploy.sections import ConfigError
from iterdeploy.tasks.judging import Judges
from iterdeploy.types import Demonstration, Task, Verdict


class TaskSet(Protocol):
    @property
    def held_out(self) -> Sequence[Task]:
        """The tasks that only measure, the same in every generation."""
        ...

    def deployed(self, generation: int) -> Sequence[Task]:
        """The tasks that users bring to this generation."""
        ...

    def judges(self) -> Judges:
        """Who judges the answers, a context manager."""
        ...

    def order(self, verdict: Verdict) -> tuple[float, ...]:
        """Which of two valid answers to a task is better: the one with the smaller tuple."""
        ...

    def describe(self) -> Mapping[str, str]:
        """Label -> text, for the report, the model card and the dry run. "Tasks" says in a few words what they are."""
        ...


@runtime_checkable
class Graded(Protocol):
    """A task set that has as many tasks as one likes of any size."""

    def deployed_at(self, generation: int, sizes: Mapping[str, Sequence[int]]) -> Sequence[Task]:
        """New tasks for this generation. `sizes`: domain -> the sizes that they take in turn."""
        ...


@runtime_checkable
class Demonstrating(Protocol):
    """A task set that can show how tasks are solved."""

    def demonstrations(self, domain: str) -> Sequence[Demonstration]:
        """As many as `tasks.examples` says, the same ones each time; of no task that is deployed or held out."""
        ...


Shown = Callable[[Task], tuple[Demonstration, ...]]
"""Task -> what the model is shown before it is asked."""

TASKSETS = {
    "planning": "iterdeploy.planning.taskset:PlanningTasks.of",
    "pddl": "iterdeploy.planning.own_tasks:OwnTasks.of",
    "continuous": "iterdeploy.continuous.taskset:ContinuousTasks.of",
}
"""The package's own: name -> function from a `RunConfig` to the task set."""

CLASSES = {"reasoning_gym": "iterdeploy.tasks.reasoning_gym:ReasoningGym"}
"""The package's own that are classes as anybody's: their keys are in [tasks.options]."""

OWN = "iterdeploy.tasks.python:PythonTasks"
"""What makes a `TaskSet` of anybody's class."""


def task_set(config: RunConfig) -> TaskSet:
    """The task set that `tasks.kind` names. ConfigError if it cannot be made."""
    tasks: TaskSet = registry.find(TASKSETS.get(config.tasks.kind, OWN), {}, "iterdeploy.tasksets", "tasks.kind")(
        config
    )
    return tasks


def demonstrated(tasks: TaskSet, config: TasksConfig) -> Shown:
    """What `tasks.examples` says. ConfigError if it is to be shown what there is not."""
    if not config.examples:
        return lambda task: ()
    if not isinstance(tasks, Demonstrating):
        raise ConfigError(f'tasks.examples: tasks.kind = "{config.kind}" makes no demonstrations; leave it out')
    shown = cache(lambda domain: tuple(tasks.demonstrations(domain)))
    return lambda task: shown(task.domain)
