"""`iterdeploy report`: writes the page of a run."""

import argparse
from contextlib import closing

from iterdeploy.cli.common import run_path, writing
from iterdeploy.record.run_dir import RunDir, RunDirError
from iterdeploy.wording import say


def report(arguments: argparse.Namespace) -> int:
    from iterdeploy.report import write_figures, write_report

    with closing(RunDir.read(run_path(arguments))) as run_dir:
        if not run_dir.metrics():
            raise RunDirError(f"{run_dir.path}: no generation has been measured yet; run `iterdeploy resume` first")
        target = arguments.out or run_dir.path / "report.html"
        with writing(target, "--out"):
            say(write_report(run_dir, target))
        if arguments.figures:
            say(f"{len(write_figures(run_dir, arguments.figures))} files of figures in {arguments.figures}")
    return 0
