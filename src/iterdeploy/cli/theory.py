"""`iterdeploy theory`: how much of a run's fine-tuning is REINFORCE, measured on the run itself."""

import argparse
import json
import sys

from rich.console import Console
from rich.table import Table as RichTable

from iterdeploy.cli.common import quiet, run_path
from iterdeploy.config import ConfigError
from iterdeploy.record.run_dir import RunDir
from iterdeploy.theory.analysis import analyse, write_theory
from iterdeploy.theory.tables import Table, tables

WIDTH = 180


def theory(arguments: argparse.Namespace) -> int:
    if arguments.traces < 1:
        raise ConfigError(f"--traces: at least 1, not {arguments.traces}")
    quiet()
    run_dir = RunDir.read(run_path(arguments))
    try:
        entry = analyse(run_dir, arguments.generation, arguments.traces, _say)
        write_theory(run_dir, entry)
    finally:
        run_dir.close()
    if arguments.json:
        print(json.dumps(entry, indent=1))
        return 0
    console = Console(highlight=False, width=None if sys.stdout.isatty() else WIDTH)
    for table in tables(entry):
        _show(table, console)
    return 0


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _show(table: Table, console: Console) -> None:
    shown = RichTable(title=table.title, title_justify="left", pad_edge=False)
    for i, column in enumerate(table.columns):
        shown.add_column(column, justify="right" if i else "left")
    for row in table.rows:
        shown.add_row(*row)
    console.print(shown)
    for note in table.notes:
        console.print(f"  {note}", markup=False)
    console.print()
