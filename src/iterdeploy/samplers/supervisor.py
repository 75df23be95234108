"""Runs a command for as long as standard input stays open, then ends it with every process that it started.

    python supervisor.py COMMAND [ARGUMENT ...]

Standard input is a pipe whose other end only the run's process holds: it closes when that process ends, however it
ends, so no server outlives its run, not even one of a run that was killed. Standard library only.
"""

import ctypes
import os
import select
import signal
import subprocess
import sys
import time

GRACE = {signal.SIGTERM: 10.0, signal.SIGKILL: 10.0}
"""Seconds that the command's processes have to end after each signal."""
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36


def main(command: list[str]) -> None:
    _prctl(PR_SET_CHILD_SUBREAPER, 1)  # so that processes whose parent has ended are ours to wait for
    # In a session of its own: one group to signal, and an interrupt from the terminal is the run's to handle.
    child = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=lambda: _prctl(PR_SET_PDEATHSIG, signal.SIGKILL),
    )
    try:
        while child.poll() is None and not select.select([sys.stdin], [], [], 0.2)[0]:
            pass  # nothing is ever written to the pipe: it becomes readable when it closes
    finally:
        _end(child.pid)


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value)


def _end(group: int) -> None:
    for number, patience in GRACE.items():
        deadline = time.monotonic() + patience
        there = _signal(group, number)
        while there and time.monotonic() < deadline:
            time.sleep(0.05)
            there = _signal(group, 0)


def _signal(group: int, number: int) -> bool:
    """Whether the group still has a process, those that have ended not counted."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return False
    return True


if __name__ == "__main__":
    main(sys.argv[1:])
