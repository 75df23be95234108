"""Taking the result away: a generation's model, or a run's traces, as a folder that other programs read."""

import os
import secrets
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from iterdeploy.sections import UserError


class ExportError(UserError):
    """What was asked for cannot be exported."""


def make_folder(target: Path, make: Callable[[Path], object]) -> Path:
    """`target`, filled by `make` under a temporary name next to it and then renamed; where that fails, nothing
    is left of it. ExportError if something is there already."""
    place = Path(os.path.realpath(target))
    if place == Path.cwd():
        raise ExportError(f"--to {target}: this is the current folder; name one that does not exist yet")
    if place.exists() and not (place.is_dir() and not any(place.iterdir())):
        raise ExportError(f"{target} exists and is not an empty folder; nothing was written: choose another --to")
    unfinished = place.with_name(f"unfinished-{place.name}-{secrets.token_hex(4)}")
    above = [parent for parent in place.parents if not parent.exists()]
    try:
        unfinished.mkdir(parents=True)
        make(unfinished)
        unfinished.rename(place)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        with suppress(OSError):  # somebody else may have put something there
            for parent in above:
                parent.rmdir()
        raise
    return target
