"""`iterdeploy traffic`: what users asked of each generation of a deployment, and what they said of its answers."""

import argparse

from iterdeploy.cli.common import console, run_path, show
from iterdeploy.governance.figures import traffic_table
from iterdeploy.record.run_dir import RunDir


def traffic(arguments: argparse.Namespace) -> int:
    run_dir = RunDir.read(run_path(arguments))
    show(traffic_table(run_dir.store, run_dir.path.name), console())
    run_dir.close()
    return 0
