"""`iterdeploy why`: why a trace trained a generation, or did not."""

import argparse
import json
from dataclasses import asdict

from iterdeploy.cli.common import run_path
from iterdeploy.record.run_dir import RunDir
from iterdeploy.record.trust import trusted_config
from iterdeploy.wording import say


def why(arguments: argparse.Namespace) -> int:
    from iterdeploy.governance.why import why as explain
    from iterdeploy.tasks import task_set

    path = run_path(arguments)
    tasks = task_set(trusted_config(path, arguments.trust))
    run_dir = RunDir.read(path)
    try:
        entries = explain(run_dir, tasks, arguments.trace)
    finally:
        run_dir.close()
    if arguments.json:
        say(json.dumps([asdict(entry) for entry in entries], indent=1))
        return 0
    for entry in entries:
        became = "not in the pool" if entry.weight is None else f"in the pool, weight {entry.weight:g}"
        say(f"generation {entry.generation}: {became if entry.made else 'if it were made now'}")
        for step in entry.steps:
            say(f"  {step}")
    return 0
