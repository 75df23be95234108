"""`iterdeploy extend`: goes on with a run to more generations than it was started with."""

import argparse

from iterdeploy.cli.common import run_path
from iterdeploy.cli.run import go_on
from iterdeploy.record.extension import extend as extended
from iterdeploy.record.trust import trusted_config


def extend(arguments: argparse.Namespace) -> int:
    path = run_path(arguments)
    trusted_config(path, arguments.trust)
    return go_on(extended(path, arguments.generations), path, arguments.accept_code_change)
