"""`iterdeploy compare`: several runs as a table, as JSON and as one page."""

import argparse
import json
from pathlib import Path

from iterdeploy.cli.common import console, find_run, show
from iterdeploy.record.files import write_text
from iterdeploy.record.run_dir import RunDir
from iterdeploy.report import write_files
from iterdeploy.report.comparison.outcome import as_json, configurations, contrast_table, sentence
from iterdeploy.report.comparison.page import figures, page, summary_table
from iterdeploy.report.comparison.runs import CompareError, Comparison, read_run
from iterdeploy.report.comparison.runs import compare as compare_runs
from iterdeploy.wording import say, tell


def compare(arguments: argparse.Namespace) -> int:
    comparison = _read(arguments.runs_dir, arguments.runs, arguments.margin)
    target = arguments.out or arguments.runs_dir / "compare.html"
    if not target.parent.is_dir():
        raise CompareError(f"--out: there is no folder {target.parent}")
    write_text(target, page(comparison))
    if arguments.figures:
        write_files(figures(comparison), arguments.figures)
    if arguments.json:
        say(json.dumps({"page": str(target), **as_json(comparison)}, indent=1))
        return 0
    _print(comparison)
    say(target)
    return 0


def _read(runs_dir: Path, names: list[str], margin: float | None) -> Comparison:
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise CompareError(f"{', '.join(twice)}: named twice; name each run once")
    paths = {name: find_run(name, runs_dir) for name in names}
    folders = [path.name for path in paths.values()]
    runs = []
    for name, path in paths.items():
        run_dir = RunDir.read(path)
        if not run_dir.metrics():
            raise CompareError(f"{path}: no generation has been measured yet; run `iterdeploy resume` first")
        runs.append(read_run(run_dir, path.name if folders.count(path.name) == 1 else name))
        run_dir.close()
    return compare_runs(runs, margin)


def _print(comparison: Comparison) -> None:
    for table in (summary_table(comparison), contrast_table(comparison), configurations(comparison)):
        if table is not None:
            show(table, console())
    tell(sentence(comparison))
