"""The process that runs other people's `judge`: python -m iterdeploy.tasks.verifier FILE_DESCRIPTOR.

It gets the configuration, says whether the task set can be made, and then answers each (task, completions) with a
verdict. It ends when the process that started it does.
"""

import json
import math
import sys
from collections.abc import Sequence
from dataclasses import replace
from multiprocessing.connection import Connection

from iterdeploy.config import RunConfig, UserError
from iterdeploy.parent import end_with_parent
from iterdeploy.tasks.python import PythonTasks
from iterdeploy.types import Completion, Task, Verdict


def main(descriptor: int) -> None:
    end_with_parent()
    pipe = Connection(descriptor)
    try:
        tasks = PythonTasks(RunConfig.model_validate_json(pipe.recv()))
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


def judged(tasks: PythonTasks, task: Task, completions: Sequence[Completion]) -> Verdict:
    """The verdict, checked: it must be one, of plain data and finite numbers. An ERROR for everything else."""
    if completions[-1].finish_reason == "length":
        return Verdict.truncated()
    try:
        verdict = tasks.judge(task, completions)
        if not isinstance(verdict, Verdict):
            return Verdict.error(f"judge returned {verdict!r:.200}, not a Verdict")
        numbers = [verdict.reward, *verdict.facts.values()]
        if not all(isinstance(number, int | float) and math.isfinite(number) for number in numbers):
            return Verdict.error(f"a verdict's reward and facts are finite numbers, not {numbers!r:.200}")
        json.dumps([verdict.answer, verdict.reason, verdict.validator], allow_nan=False)
        return verdict if verdict.validator else replace(verdict, validator=tasks.name)
    except Exception as error:
        return Verdict.error(f"the verifier failed: {type(error).__name__}: {error}")


if __name__ == "__main__":
    main(int(sys.argv[1]))
