"""`iterdeploy report`: writes a run's report.html."""

import argparse

from iterdeploy.cli.common import run_path
from iterdeploy.record.run_dir import RunDir, RunDirError
from iterdeploy.wording import say


def report(arguments: argparse.Namespace) -> int:
    from iterdeploy.report import write_figures, write_report

    run_dir = RunDir.read(run_path(arguments))
    if not run_dir.metrics():
        raise RunDirError(f"{run_dir.path}: no generation has been measured yet; run `iterdeploy resume` first")
    say(write_report(run_dir))
    if arguments.figures:
        say(f"{len(write_figures(run_dir, arguments.figures))} files of figures in {arguments.figures}")
    return 0
