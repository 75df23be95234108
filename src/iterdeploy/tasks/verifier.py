"""The process that runs other people's `judge` or environment: python -m iterdeploy.tasks.verifier FILE_DESCRIPTOR.

It gets the configuration, says whether the task set can be made, and then answers each (task, completions) with a
verdict or an observation; before each step of an environment it sends None, so that each has its time. It ends when the
process that started it does.
"""

import json
import math
import sys
from collections.abc import Sequence
from dataclasses import replace
from multiprocessing.connection import Connection

from iterdeploy.config import RunConfig
from iterdeploy.parent import end_with_parent
from iterdeploy.sections import UserError
from iterdeploy.tasks.environment import Reply
from iterdeploy.tasks.python import PythonTasks
from iterdeploy.types import Completion, Observation, Task, Verdict


def main(descriptor: int) -> None:
    end_with_parent()
    pipe = Connection(descriptor)
    try:
        tasks = PythonTasks(RunConfig.model_validate_json(pipe.recv()), alive=lambda: pipe.send(None))
    except UserError as error:
        pipe.send(str(error))
        return
    pipe.send("")
    while True:
        try:
            task, completions = pipe.recv()
        except EOFError:
            return
        pipe.send(judged(tasks, task, completions))


def judged(tasks: PythonTasks, task: Task, completions: Sequence[Completion]) -> Reply:
    """The reply, checked: it must be one, of plain data and finite numbers. An ERROR for everything else."""
    try:
        reply = tasks.judge(task, completions)
        if isinstance(reply, Observation):
            numbers = [reply.reward]
        elif isinstance(reply, Verdict):
            numbers = [reply.reward, *reply.facts.values()]
            json.dumps([reply.answer, reply.reason, reply.validator], allow_nan=False)
        else:
            return Verdict.error(f"judge returned {reply!r:.200}, not a Verdict")
        if not all(isinstance(number, int | float) and math.isfinite(number) for number in numbers):
            return Verdict.error(f"rewards and facts are finite numbers, not {numbers!r:.200}")
        if isinstance(reply, Verdict) and not reply.validator:
            return replace(reply, validator=tasks.name)
        return reply
    except Exception as error:
        return Verdict.error(f"the verifier failed: {type(error).__name__}: {error}")


if __name__ == "__main__":
    main(int(sys.argv[1]))
