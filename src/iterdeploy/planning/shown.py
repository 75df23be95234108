"""Solved tasks that a model is shown before it is asked: the scripted planner's plan of a task of the same domain."""

import json

from iterdeploy.planning import prompts
from iterdeploy.planning.domains import DOMAINS
from iterdeploy.planning.parsed import problem_of
from iterdeploy.types import Demonstration, Task


def demonstration(task: Task) -> Demonstration:
    """The task's prompt, and its plan in the required form, under the names that stand in the prompt."""
    problem = problem_of(task.payload["problem"], task.payload["domain"])
    words = {name: word for word, name in json.loads(task.payload.get("true_names", "{}")).items()}
    steps = [tuple(words.get(name, name) for name in step) for step in DOMAINS[task.domain].solve(problem)]
    return Demonstration(task.prompt, prompts.plan(steps))
