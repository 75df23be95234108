"""`iterdeploy theory`: how much of a run's fine-tuning is REINFORCE, measured on the run itself."""

import argparse
import json
import sys

from iterdeploy.cli.common import console, quiet, run_path, saving, show
from iterdeploy.record.run_dir import RunDir
from iterdeploy.record.trust import trusted_config
from iterdeploy.theory.analysis import analyse, write_theory
from iterdeploy.theory.tables import tables


def theory(arguments: argparse.Namespace) -> int:
    quiet()
    path = run_path(arguments)
    trusted_config(path, arguments.trust)  # the model's own code would run
    run_dir = RunDir.read(path)
    try:
        entry = analyse(run_dir, arguments.generation, arguments.traces, _say)
        with saving(run_dir.path / "theory.json"):
            write_theory(run_dir, entry)
    finally:
        run_dir.close()
    if arguments.json:
        print(json.dumps(entry, indent=1))
        return 0
    out = console()
    for table in tables(entry):
        show(table, out)
    return 0


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
