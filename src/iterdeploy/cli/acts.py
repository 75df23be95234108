"""`iterdeploy acts`: what was decided about a deployment, by whom and when."""

import argparse
import json
from dataclasses import asdict

from iterdeploy.cli.common import run_path
from iterdeploy.record.run_dir import RunDir
from iterdeploy.record.traffic import Traffic
from iterdeploy.wording import say


def acts(arguments: argparse.Namespace) -> int:
    run_dir = RunDir.read(run_path(arguments))
    found = [act for _, act in Traffic(run_dir.store).acts()]
    run_dir.close()
    for act in found:
        if arguments.json:
            say(json.dumps(asdict(act)))
            continue
        details = "  ".join(f"{name}: {value}" for name, value in act.details.items() if name != "digest")
        say(f"{act.at}  {act.who}  {act.act}  {details}".rstrip())
    return 0
