"""Files and folders that are there whole or not at all, in a folder that is still the one that was opened.

What is made is written under a name that begins with "unfinished-", synced and renamed; a folder that goes is renamed
first. So a process may be killed anywhere: under its own name a thing is the old one, the new one, or not there, and
`sweep` takes away the rest. No link is followed: whoever gets a folder from somebody else gets data.
"""

import json
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from weakref import finalize

from iterdeploy.sections import UserError

UNFINISHED = "unfinished-"
OF_TRACKERS = ("tensorboard", "wandb")
"""Folders in a run's folder that other packages fill, with links of their own."""


class RunDirError(UserError):
    """The run's folder cannot be used."""


def write_text(path: Path, text: str) -> None:
    """A reader sees the old file or the new one; where writing fails, the old one stays and nothing else is left."""
    unfinished = path.with_name(f"{UNFINISHED}{path.name}-{secrets.token_hex(4)}")
    handle = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o666)
    try:
        with open(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(handle)
        unfinished.rename(path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
    sync(path.parent)


def write_json(path: Path, value: dict[str, Any]) -> None:
    write_text(path, json.dumps(value, indent=1) + "\n")


def read_json(path: Path) -> dict[str, Any]:
    """RunDirError for what is not a JSON object."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:  # a UnicodeDecodeError is a ValueError
        raise damaged(path, f"it is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise damaged(path, "it holds no JSON object")
    return value


def damaged(path: Path, how: str) -> RunDirError:
    return RunDirError(
        f"{path}: this file is not as the run left it ({how}). Nothing was changed: put it back from a copy of the "
        "run, or start a new run under another --name"
    )


def sync(path: Path) -> None:
    """Waits until the file's content, or the names in the folder, are on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_all(folder: Path) -> None:
    for path in [*folder.rglob("*"), folder]:
        sync(path)


def remove(path: Path) -> None:
    """Takes away what is there, if anything is: a folder at one stroke, of a link only the link."""
    if path.is_dir() and not path.is_symlink():
        away = path.with_name(f"{UNFINISHED}removal-{secrets.token_hex(4)}")
        path.rename(away)
        shutil.rmtree(away)
    else:
        path.unlink(missing_ok=True)


def sweep(folder: Path, keep: str = "") -> None:
    """Takes away what a process that was killed left unfinished, except under the name `keep`."""
    for path in folder.glob(f"{UNFINISHED}*"):
        if path.name != keep:
            remove(path)


def refuse_links(folder: Path) -> None:
    """RunDirError if the folder holds anything but files and folders: what lies behind a link is not the run's."""
    for entry in _entries(folder):
        if entry.is_symlink():
            raise RunDirError(
                f"{entry.path}: this is a link to {os.readlink(entry.path)}; a run's folder holds none, so nothing was "
                "read or written: remove it, or replace it with what it leads to"
            )
        if not entry.is_dir() and not entry.is_file():
            raise RunDirError(
                f"{entry.path}: this is neither a file nor a folder, so it is none of a run's: take it away"
            )


def _entries(folder: Path, depth: int = 0) -> Iterator["os.DirEntry[str]"]:
    with os.scandir(folder) as entries:
        for entry in entries:
            yield entry
            if entry.is_dir(follow_symlinks=False) and not (depth == 0 and entry.name in OF_TRACKERS):
                yield from _entries(Path(entry.path), depth + 1)


class Held:
    """A folder that is worked in. Its path may come to mean another one, or none: nothing may be written there then."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)  # while it is open, no other folder gets its inode
        self.close = finalize(self, os.close, self._handle)

    def check(self) -> None:
        """RunDirError if the folder is no longer where it was."""
        try:
            same = os.path.samestat(os.fstat(self._handle), os.stat(self.path))
        except FileNotFoundError:
            same = False
        if not same:
            raise RunDirError(
                f"{self.path}: this folder was moved or removed while it was worked in, and nothing was written in its "
                "place. If it was moved, what was stored before is complete: resume it under its new name"
            )
