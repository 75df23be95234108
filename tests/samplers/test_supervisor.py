"""The process that ends a server with the run that started it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from iterdeploy.samplers import supervisor

CHILD = """
import os, subprocess, sys, time
subprocess.Popen([sys.executable, "-c", "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(600)"])
open(sys.argv[1], "w").write(str(os.getpgrp()))
time.sleep(600)
"""


def group_exists(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize("how", ["closed", "killed"])
def test_a_supervised_server_ends_with_its_run_and_takes_its_own_processes_along(tmp_path: Path, how: str) -> None:
    """Closed: as a sampler does when it is done. Killed: the process that holds the pipe is gone from one moment to
    the next. The server's child ignores the polite signal."""
    note = tmp_path / "group"
    hold = f"""
import subprocess, sys, time
from iterdeploy.samplers import supervisor
supervised = subprocess.Popen([sys.executable, {str(tmp_path / "supervisor.py")!r}, sys.executable, "-c", {CHILD!r},
                               {str(note)!r}], stdin=subprocess.PIPE, start_new_session=True)
sys.stdin.read()
supervised.stdin.close()
supervised.wait()
"""
    source = Path(supervisor.__file__).read_text().replace("SIGTERM: 10.0", "SIGTERM: 0.5")
    (tmp_path / "supervisor.py").write_text(source)
    run = subprocess.Popen([sys.executable, "-c", hold], stdin=subprocess.PIPE)
    deadline = time.monotonic() + 30
    while not (note.exists() and note.read_text()) and time.monotonic() < deadline:
        time.sleep(0.05)
    group = int(note.read_text())
    time.sleep(0.5)
    assert group_exists(group)
    if how == "killed":
        run.send_signal(signal.SIGKILL)
        run.wait()
        while group_exists(group) and time.monotonic() < deadline:
            time.sleep(0.05)
    run.communicate(timeout=30)
    assert not group_exists(group), "when the run goes on, or is gone, so is the server"
