"""What several commands share: the run that is meant, and a quiet terminal."""

import argparse
import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.box import HEAVY_HEAD
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from iterdeploy.api.find import find_run
from iterdeploy.sections import UserError
from iterdeploy.tables import Table
from iterdeploy.wording import plain, plain_lines, say, tell

WIDEST = 1000
"""Columns of a table that goes anywhere but to a terminal: its rows are not broken."""


def quiet() -> None:
    """Nothing is fetched over the network while a run goes on, and libraries keep their remarks to themselves."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")


NOT_ALLOWED = (errno.EACCES, errno.EPERM, errno.EROFS)


@contextmanager
def writing(path: Path, option: str) -> Iterator[None]:
    """Around a write to where the option says, or without it into the folder of runs, which may be only for reading."""
    try:
        yield
    except OSError as error:
        if error.errno not in NOT_ALLOWED:
            raise
        raise UserError(f"{path} cannot be written ({error.strerror}): choose another place with {option}") from None


@contextmanager
def saving(path: Path) -> Iterator[None]:
    """Around a write of what is printed anyway: where the folder is only for reading, a warning is enough."""
    try:
        yield
    except OSError as error:
        if error.errno not in NOT_ALLOWED:
            raise
        say(f"iterdeploy: warning: {path} cannot be written ({error.strerror}), it is only shown", error=True)


def console() -> Console:
    """For tables. Names and sentences of others are text for it, never instructions."""
    console = Console(highlight=False, markup=False, emoji=False)
    if not console.is_terminal:
        console.width = WIDEST
    return console


def show(table: Table, out: Console) -> None:
    box = HEAVY_HEAD if out.is_terminal else None  # elsewhere plain columns: for eyes, grep and cut alike
    shown = RichTable(
        title=Text(plain(table.title)) if table.title else None, title_justify="left", pad_edge=False, box=box
    )
    for place, column in enumerate(table.columns):
        shown.add_column(Text(plain_lines(column)), justify="right" if place else "left")
    for row in table.rows:
        shown.add_row(*(Text(plain_lines(str(cell))) for cell in row))
    out.print(shown)
    for note in table.notes:
        tell(f"  {note}")
    say()


def run_path(arguments: argparse.Namespace) -> Path:
    return find_run(arguments.run, arguments.runs_dir)
