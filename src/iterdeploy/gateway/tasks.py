"""Which task a question is: one that the task set knows by its prompt, and has a validator for, or a new one.

Some prompts, drawn by their hash, only measure: their answers are held out of every pool. So are those of the task
set's own held-out tasks, whoever asks them.
"""

from collections.abc import Mapping
from dataclasses import replace

from iterdeploy.tasks import TaskSet
from iterdeploy.types import Split, Task, content_hash

TRAFFIC = "traffic"
"""Domain of the tasks that only users know, and, with the domain of the task set's, of those that only measure."""


class Prompts:
    def __init__(self, tasks: TaskSet, held_out_share: float) -> None:
        self._tasks = tasks
        self._share = held_out_share
        self._evaluation = {task.prompt: task for task in tasks.held_out}
        self._known: dict[int, Mapping[str, Task]] = {}

    def task(self, prompt: str, generation: int) -> Task:
        """The task of a prompt that is asked of a generation."""
        if generation not in self._known:
            self._known[generation] = {task.prompt: task for task in self._tasks.deployed(generation)}
        own = self._evaluation.get(prompt)
        known = own or self._known[generation].get(prompt)
        domain = known.domain if known else TRAFFIC
        size, payload = (known.size, known.payload) if known else (len(prompt), {})
        if own is None and not held_out(prompt, self._share):
            return known or Task.make(domain=TRAFFIC, size=size, split=Split.DEPLOYED, prompt=prompt)
        made = Task.make(domain=domain, size=size, split=Split.HELD_OUT, prompt=prompt, payload=payload)
        # Apart from the task set's own, whose answers are those that the loop asked for.
        return replace(made, id=content_hash(TRAFFIC, made.id))


def judged(task: Task) -> bool:
    """Whether a validator judges answers to the task."""
    return bool(task.payload)


def held_out(prompt: str, share: float) -> bool:
    """
    >>> sum(held_out(f"prompt {number}", 0.1) for number in range(1000))
    107
    """
    return int(content_hash("held-out traffic", prompt)[:12], 16) < share * 16**12
