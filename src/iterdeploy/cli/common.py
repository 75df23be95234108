"""What several commands share: the run that is meant, and a quiet terminal."""

import argparse
import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from iterdeploy.config import ConfigError
from iterdeploy.record.run_dir import RunDirError
from iterdeploy.tables import Table
from iterdeploy.wording import did_you_mean, plain, plain_lines, say, short, tell

LONGEST_NAME = 200
"""Of a run. File systems allow 255 bytes."""


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
        say(f"iterdeploy: warning: {path} cannot be written ({error.strerror}), it is only shown", error=True)


def console() -> Console:
    """For tables. Names and sentences of others are text for it, never instructions."""
    console = Console(highlight=False, markup=False, emoji=False)
    if not console.is_terminal:
        console.width = 180
    return console


def show(table: Table, out: Console) -> None:
    shown = RichTable(title=table.title and Text(plain(table.title)), title_justify="left", pad_edge=False)
    for place, column in enumerate(table.columns):
        shown.add_column(Text(plain_lines(column)), justify="right" if place else "left")
    for row in table.rows:
        shown.add_row(*(Text(plain_lines(cell)) for cell in row))
    out.print(shown)
    for note in table.notes:
        tell(f"  {note}")
    say()


def run_path(arguments: argparse.Namespace) -> Path:
    return find_run(arguments.run, arguments.runs_dir)


def find_run(name: str, runs_dir: Path) -> Path:
    """The folder of the run of that name in `runs_dir`, or of that path. RunDirError if there is none."""
    for path in (runs_dir / name, Path(name)):
        if (path / "config.toml").is_file():
            return path if path.name not in ("", "..") else Path(os.path.abspath(path))
    there = sorted(entry.parent.name for entry in runs_dir.glob("*/config.toml"))
    near = did_you_mean(name, there)
    known = f"; the runs in {runs_dir} are {', '.join(there)}" if there else f"; there are no runs in {runs_dir}"
    raise RunDirError(f"{name}: no such run{near or known} (--runs-dir says where runs are kept)")


def checked_name(name: str) -> str:
    """ConfigError if a run cannot have that name, because a folder cannot."""
    if name in ("", ".", "..") or {"/", "\\"} & set(name) or not name.isprintable() or len(name) > LONGEST_NAME:
        raise ConfigError(f"--name: {short(name)!r} cannot be a folder's name; give the run another one")
    return name
