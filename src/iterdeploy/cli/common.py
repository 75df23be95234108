"""What several commands share: the run that is meant, and a quiet terminal."""

import argparse
import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from iterdeploy.config import ConfigError
from iterdeploy.record.run_dir import RunDirError
from iterdeploy.tables import Table


def quiet() -> None:
    """Nothing is fetched over the network while a run goes on, and libraries keep their remarks to themselves."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")


@contextmanager
def saving(path: Path) -> Iterator[None]:
    """Around a write of what is printed anyway: where the folder is only for reading, a warning is enough."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise
        print(f"iterdeploy: warning: {path} cannot be written ({error.strerror}), it is only shown", file=sys.stderr)


def console() -> Console:
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = 180
    return console


def show(table: Table, out: Console) -> None:
    shown = RichTable(title=table.title, title_justify="left", pad_edge=False)
    for place, column in enumerate(table.columns):
        shown.add_column(Text(column), justify="right" if place else "left")
    for row in table.rows:
        shown.add_row(*(Text(cell) for cell in row))
    out.print(shown)
    for note in table.notes:
        out.print(f"  {note}", markup=False)
    out.print()


def run_path(arguments: argparse.Namespace) -> Path:
    path: Path = arguments.runs_dir / checked_name(arguments.run)
    if not (path / "config.toml").is_file():
        there = sorted(entry.parent.name for entry in arguments.runs_dir.glob("*/config.toml"))
        known = f"the runs there are {', '.join(there)}" if there else "there are no runs there"
        raise RunDirError(f"{path}: no such run; {known} (--runs-dir says where runs are kept)")
    return path


def checked_name(name: str) -> str:
    if not name or name in (".", "..") or "/" in name or "\\" in name:
        raise ConfigError(f"--name: {name!r} cannot be a folder's name")
    return name
