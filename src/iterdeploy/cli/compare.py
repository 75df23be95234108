"""`iterdeploy compare`: several runs as a table, as JSON and as one page."""

import argparse
import json
from pathlib import Path

from iterdeploy.cli.common import console, run_path, show
from iterdeploy.config import UserError
from iterdeploy.record.files import write_text
from iterdeploy.record.run_dir import RunDir
from iterdeploy.report import write_files
from iterdeploy.report.comparison.outcome import as_json, configurations, contrast_table, sentence
from iterdeploy.report.comparison.page import figures, page, summary_table
from iterdeploy.report.comparison.runs import Comparison, read_run
from iterdeploy.report.comparison.runs import compare as compare_runs


class CompareError(UserError):
    """These runs cannot be compared."""


def compare(arguments: argparse.Namespace) -> int:
    comparison = _read(arguments.runs_dir, arguments.runs, arguments.margin)
    target = arguments.out or arguments.runs_dir / "compare.html"
    if not target.parent.is_dir():
        raise CompareError(f"--out: there is no folder {target.parent}")
    write_text(target, page(comparison))
    if arguments.figures:
        write_files(figures(comparison), arguments.figures)
    if arguments.json:
        print(json.dumps({"page": str(target), **as_json(comparison)}, indent=1))
        return 0
    _print(comparison)
    print(target)
    return 0


def _read(runs_dir: Path, names: list[str], margin: float | None) -> Comparison:
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise CompareError(f"{', '.join(twice)}: named twice; name each run once")
    paths = [run_path(argparse.Namespace(run=name, runs_dir=runs_dir)) for name in names]
    runs = []
    for path in paths:
        run_dir = RunDir.read(path)
        if not run_dir.metrics():
            raise CompareError(f"{path}: no generation has been measured yet; run `iterdeploy resume` first")
        runs.append(read_run(run_dir))
        run_dir.close()
    return compare_runs(runs, margin)


def _print(comparison: Comparison) -> None:
    for table in (summary_table(comparison), contrast_table(comparison), configurations(comparison)):
        if table is not None:
            show(table, console())
    print(sentence(comparison))
