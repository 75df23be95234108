"""`iterdeploy compare`: several runs as a table, as JSON and as one page."""

import argparse
import json

from iterdeploy.api.compare import Comparison
from iterdeploy.api.compare import compare as compared
from iterdeploy.cli.common import console, show, writing
from iterdeploy.report.comparison.outcome import as_json, configurations, contrast_table
from iterdeploy.report.comparison.page import summary_table
from iterdeploy.wording import say, tell


def compare(arguments: argparse.Namespace) -> int:
    comparison = compared(*arguments.runs, runs_dir=arguments.runs_dir, margin=arguments.margin)
    target = arguments.out or arguments.runs_dir / "compare.html"
    with writing(target, "--out"):
        page = comparison.write(target, arguments.figures)
    if arguments.json:
        say(json.dumps({"page": str(page), **as_json(comparison.found)}, indent=1))
    else:
        _print(comparison)
        say(page)
    return 0


def _print(comparison: Comparison) -> None:
    for make in (summary_table, contrast_table, configurations):
        if (table := make(comparison.found)) is not None:
            show(table, console())
    tell(comparison.verdict)
