"""What a failure means to the person at the keyboard; bugs stay crashes."""

import errno
import sqlite3

DISK_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
MEND_DISK = "free some space and call `iterdeploy resume`: what was stored before is complete, nothing is half-written"


def explain(error: BaseException) -> str | None:
    """One paragraph that says how to mend it; None if the failure is a bug of ours."""
    if _disk_is_full(error):
        return f"the disk is full ({error}); {MEND_DISK}"
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    if isinstance(error, sqlite3.OperationalError):
        return f"the trace store cannot be written ({error}), most likely because the disk is full; {MEND_DISK}"
    if isinstance(error, ValueError) and type(error).__module__.startswith("iterdeploy."):
        return str(error)
    return None


def _disk_is_full(error: BaseException) -> bool:
    if isinstance(error, OSError):
        return error.errno in DISK_FULL
    # Libraries written in Rust (safetensors, tokenizers) tell the system's error only in words.
    return any(f"(os error {number})" in str(error) for number in DISK_FULL)
