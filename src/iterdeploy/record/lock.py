"""The lock of a run's folder: one process at a time works in it, and others can tell which."""

import errno
import fcntl
import os
import time
from pathlib import Path

from iterdeploy.record.files import RunDirError

TRIES = 25
PAUSE = 0.02
"""Seconds between tries: `status` holds a run's lock for an instant when it looks whether another process does."""


def take(folder: Path, name: str = "lock") -> int:
    """The locked file. The kernel unlocks it when this process ends, however it ends."""
    lock = os.open(folder / name, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    for patience in range(TRIES, -1, -1):
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except OSError as error:
            if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                os.close(lock)
                raise
        if not patience:
            holder = _written(lock) or "unknown"
            os.close(lock)
            raise RunDirError(
                f"{folder}: the process {holder} is working on this run; wait for it, or stop it and call resume"
            )
        time.sleep(PAUSE)
    os.ftruncate(lock, 0)
    os.pwrite(lock, str(os.getpid()).encode(), 0)
    return lock


def holder(folder: Path) -> int | None:
    """The id of the process that works in the folder, 0 where it is not known; None if none does."""
    try:
        lock = os.open(folder / "lock", os.O_RDONLY | os.O_NOFOLLOW)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return _written(lock)
    finally:
        os.close(lock)
    return None


def _written(lock: int) -> int:
    text = os.pread(lock, 20, 0)
    return int(text) if text.isdigit() else 0
