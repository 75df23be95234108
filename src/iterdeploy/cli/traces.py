"""`iterdeploy traces`: prints a run's traces, with what the model wrote."""

import argparse
import json
import textwrap

from iterdeploy.api.look import Run
from iterdeploy.cli.common import run_path
from iterdeploy.wording import plain, say


def traces(arguments: argparse.Namespace) -> int:
    with Run(run_path(arguments)) as run:
        found = run.traces(
            generation=arguments.generation,
            status=arguments.status,
            split=arguments.split,
            task=arguments.task,
            limit=arguments.limit,
        )
        if arguments.json:
            for row in found.rows():
                say(json.dumps(row))
            return 0
        for trace in found:
            verdict = trace.verdict
            say(
                f"generation {trace.generation}  task {trace.task_id}  sample {trace.sample_index}  "
                f"{trace.split.value}  size {trace.size}  {verdict.status.value}  {plain(verdict.reason)}".rstrip()
            )
            for completion in trace.completions:
                say(textwrap.indent(completion.text.strip("\n"), "    "))
            say()
    return 0
