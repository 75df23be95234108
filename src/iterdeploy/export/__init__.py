"""Taking the result away: a generation's model, or a run's traces, as a folder that other programs read."""

import shutil
from collections.abc import Callable
from pathlib import Path

from iterdeploy.config import UserError


class ExportError(UserError):
    """What was asked for cannot be exported."""


def make_folder(target: Path, make: Callable[[Path], object]) -> Path:
    """`target`, filled by `make` beside its place and then renamed. ExportError if something is there already."""
    if target.exists() and not (target.is_dir() and not any(target.iterdir())):
        raise ExportError(f"{target} exists and is not an empty folder; nothing was written: choose another --to")
    beside = target.absolute().parent / f"unfinished-{target.absolute().name}"
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    try:
        make(beside)
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise
    beside.rename(target)
    return target
