"""report.html of a run, from its folder alone."""

from pathlib import Path

from iterdeploy.run_dir import RunDir


def write_report(run_dir: RunDir) -> Path:
    return run_dir.path / "report.html"
