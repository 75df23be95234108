"""Processes to be killed: one server imports everything once, then forks a child for every command line.

As a program it reads one JSON object a line, {"args": [...], "log": FILE, "file": NAME or null, "line": N}, forks a
child that runs `iterdeploy ARGS`, prints the child's process id, waits for it and prints how it ended. With a file, the
child kills itself (SIGKILL) before the N-th line of that file that it executes; with line 0 it only counts, into
LOG.counts. The server itself loads no model and starts no thread, so that a fork of it is as good as a new process.
"""

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import iterdeploy

PACKAGE = Path(iterdeploy.__file__).parent
BOOKKEEPING = (
    "record/run_dir.py",
    "record/files.py",
    "record/store.py",
    "deployment/deploy.py",
    "loop.py",
    "curation/policies.py",
    "cli/run.py",
    "training/fit.py",
)


class Server:
    """The other end: starts children and waits for them, one at a time."""

    def __init__(self, log: Path) -> None:
        self.log = log
        self._process = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate(timeout=60)

    def start(self, *args: object, file: str | None = None, line: int = 0) -> int:
        """Forks a child that runs `iterdeploy ARGS`; returns its process id."""
        assert self._process.stdin is not None
        request = {"args": [str(arg) for arg in args], "log": str(self.log), "file": file, "line": line}
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def wait(self) -> int:
        """The child's exit status, or minus the signal that killed it."""
        return self._answer()

    def run(self, *args: object, file: str | None = None, line: int = 0) -> int:
        self.start(*args, file=file, line=line)
        return self.wait()

    def counts(self) -> dict[str, int]:
        """Executed lines by file of the child that was told to count."""
        values: dict[str, int] = json.loads(Path(f"{self.log}.counts").read_text())
        return values

    def _answer(self) -> int:
        assert self._process.stdout is not None
        return int(self._process.stdout.readline())


def _trace_lines(file: str, line: int, log: str) -> None:
    """Counts executed lines by file, and kills this process before the `line`-th of `file`."""
    counts: Counter[str] = Counter()
    names = {str(PACKAGE / name): name for name in BOOKKEEPING}

    def local(frame: Any, event: str, _: object) -> Any:
        if event == "line":
            name = names[frame.f_code.co_filename]
            counts[name] += 1
            if name == file and counts[name] == line:
                os.kill(os.getpid(), signal.SIGKILL)
        return local

    def begin(frame: Any, event: str, _: object) -> Any:
        return local if frame.f_code.co_filename in names else None

    sys.settrace(begin)
    if line == 0:
        import atexit

        atexit.register(lambda: Path(f"{log}.counts").write_text(json.dumps(counts)))


def _child(request: dict[str, Any]) -> int:
    from iterdeploy.cli.main import main

    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell that starts tests in the background ignores it
    log = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    null = os.open(os.devnull, os.O_RDONLY)
    for descriptor, target in ((null, 0), (log, 1), (log, 2)):
        os.dup2(descriptor, target)
    if request["file"] is not None:
        _trace_lines(request["file"], request["line"], request["log"])
    return main(request["args"])


def _serve() -> None:
    import peft  # noqa: F401
    import torch  # noqa: F401
    from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaForCausalLM  # noqa: F401

    import iterdeploy.cli.run
    import iterdeploy.loop
    import iterdeploy.report
    import iterdeploy.samplers.transformers  # noqa: F401

    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            sys.exit(_child(json.loads(line)))
        print(pid, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)


if __name__ == "__main__":
    _serve()
