"""What a failure means to the person at the keyboard; bugs stay crashes."""

import errno
import re
import sqlite3
from collections.abc import Iterator

from iterdeploy.cli.parser import RUNNING

DISK_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
GO_ON = "call `iterdeploy resume`: what was stored before is complete, nothing is half-written"
AGAIN = "call it again: nothing half-written is left"
OUT_OF_MEMORY = re.compile(r"(?i)out of memory|can't allocate memory|not enough memory")
"""What libraries say in an error of a general kind."""


def explain(error: BaseException, command: str = "run") -> str | None:
    """One paragraph that says how to fix it; None if the failure is a bug. `command`: what failed."""
    go_on = GO_ON if command in RUNNING else AGAIN
    if isinstance(error, ValueError) and type(error).__module__.startswith("iterdeploy."):
        return str(error)
    failures = list(_chain(error))
    for failure in failures:
        if _disk_is_full(failure):
            return f"the disk is full ({failure}); free some space and {go_on}"
        if isinstance(failure, MemoryError) or (
            isinstance(failure, RuntimeError) and OUT_OF_MEMORY.search(str(failure))
        ):
            return (
                f"out of memory ({str(failure).strip() or 'the system gave no more'}): lower sampling.batch_size and "
                f"training.tokens_per_pass, or end other programs, and {go_on}"
            )
    for failure in failures:
        if isinstance(failure, sqlite3.Error):
            from iterdeploy.record.sqlite import explain as explain_store

            return explain_store(failure)
        if isinstance(failure, OSError) and failure.errno == errno.EIO:
            return f"the disk or its connection failed ({failure}): look at the system's log, and then {go_on}"
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return None


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """The error and those in whose handling it was raised: a library may report a full disk in its own words."""
    while error is not None:
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _disk_is_full(error: BaseException) -> bool:
    if isinstance(error, OSError):
        return error.errno in DISK_FULL
    # Libraries written in Rust (safetensors, tokenizers) report the system's error only in words.
    return any(f"(os error {number})" in str(error) for number in DISK_FULL)
