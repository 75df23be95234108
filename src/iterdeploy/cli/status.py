"""`iterdeploy status`: a run's state and its generations."""

import argparse
import json

from iterdeploy.cli.common import console, run_path
from iterdeploy.console.summary import status as status_of
from iterdeploy.console.summary import table
from iterdeploy.record.run_dir import RunDir


def status(arguments: argparse.Namespace) -> int:
    run_dir = RunDir.read(run_path(arguments))
    found = status_of(run_dir)
    run_dir.close()
    if arguments.json:
        print(json.dumps(found, indent=1))
        return 0
    state = found["state"] + (f" (process {found['pid']})" if "pid" in found else "")
    print(f"{found['run']}: {state}" + (f": {found['reason']}" if "reason" in found else ""))
    if found["generations"]:
        console().print(table(found["generations"]))
    return 0
