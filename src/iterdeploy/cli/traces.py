"""`iterdeploy traces`: prints a run's traces."""

import argparse
import json

from iterdeploy.cli.common import run_path
from iterdeploy.record.run_dir import RunDir
from iterdeploy.wording import say


def traces(arguments: argparse.Namespace) -> int:
    from iterdeploy.export.columns import IN_TOKENS, trace_row, trained_by
    from iterdeploy.types import Status

    run_dir = RunDir.read(run_path(arguments))
    wanted = Status(arguments.status) if arguments.status else None
    prompts = {task.id: task.prompt for task in run_dir.store.tasks()}
    trained = trained_by(run_dir)
    for trace in run_dir.store.traces(generation=arguments.generation, status=wanted):
        if arguments.json:
            row = trace_row(trace, prompts[trace.task_id], trained.get(trace.id, []))
            say(json.dumps({name: value for name, value in row.items() if name not in IN_TOKENS}))
        else:
            say(
                f"generation {trace.generation}  {trace.task_id}  sample {trace.sample_index}  {trace.split.value}  "
                f"size {trace.size}  {trace.verdict.status.value}  {trace.verdict.reason}".rstrip()
            )
    return 0
