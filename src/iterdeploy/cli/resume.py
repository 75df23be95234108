"""`iterdeploy resume`: goes on with a run, with the configuration it was started with."""

import argparse

from iterdeploy.cli.common import run_path
from iterdeploy.cli.run import go_on
from iterdeploy.record.trust import trusted_config


def resume(arguments: argparse.Namespace) -> int:
    if arguments.copy:
        from iterdeploy.api.start import restored

        path = restored(arguments.copy, arguments.run, arguments.runs_dir)
    else:
        path = run_path(arguments)
    return go_on(trusted_config(path, arguments.trust), path, arguments.accept_code_change)
