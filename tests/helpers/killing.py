"""Processes to be killed: one server imports everything once, then forks a child for every command line.

As a program it reads one JSON object a line, {"args": [...], "log": FILE, "folder": PATH or null, "moment": N,
"error": E}, forks a child that runs `iterdeploy ARGS`, prints the child's process id, waits for it and prints how it
ended. Figures are not drawn. With a folder, the child's dealings with it are counted, into LOG.moments, and at moment N
it is killed (error 0) or its disk refuses from there on (any other): see faults.c. The server itself loads no model and
starts no thread, so that a fork of it is as good as a new process.
"""

import ctypes
import gc
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import Queue
from typing import Any, TypeVar

import pytest

KILLED = -signal.SIGKILL
T, R = TypeVar("T"), TypeVar("R")
WARM = (
    "matplotlib.backends.backend_pdf", "matplotlib.backends.backend_svg", "matplotlib.figure", "peft", "torch",
    "torch.optim.adamw", "transformers.models.llama.modeling_llama", "iterdeploy.cli.export", "iterdeploy.cli.report",
    "iterdeploy.cli.resume", "iterdeploy.cli.run", "iterdeploy.export.model", "iterdeploy.export.traces",
    "iterdeploy.loop", "iterdeploy.report", "iterdeploy.samplers.transformers", "iterdeploy.steps.components",
)  # fmt: skip


@dataclass(frozen=True)
class Fault:
    folder: Path
    """Whose files are watched: everything whose path begins like this."""
    moment: int = 0
    """Counted from 1; 0 never comes."""
    error: int = 0
    """What the disk answers from there on; 0: the process is killed."""


def compiled_faults(folder: Path) -> Path:
    """The library that places faults. Skips the test where there is no C compiler."""
    compiler = shutil.which("cc")
    if compiler is None or sys.platform != "linux":
        pytest.skip("faults are placed by a library that needs Linux and a C compiler")
    source, library = Path(__file__).parent / "faults.c", folder / "faults.so"
    options = ["-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC"]
    subprocess.run([compiler, *options, "-o", str(library), str(source), "-ldl"], check=True)
    return library


class Server:
    """The other end: starts children and waits for them, one at a time. `faults`: the compiled library."""

    def __init__(self, log: Path, faults: Path | None = None) -> None:
        self.log = log
        preload = {"LD_PRELOAD": str(faults)} if faults else {}
        self._process = subprocess.Popen(
            [sys.executable, __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1", **preload},
        )

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate(timeout=120)

    def start(self, *args: object, fault: Fault | None = None) -> int:
        """Forks a child that runs `iterdeploy ARGS`; returns its process id."""
        assert self._process.stdin is not None
        placed = {"folder": str(fault.folder), "moment": fault.moment, "error": fault.error} if fault else {}
        request = {"args": [str(arg) for arg in args], "log": str(self.log), "folder": None, **placed}
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def wait(self) -> int:
        """The child's exit status, or minus the signal that killed it."""
        return self._answer()

    def run(self, *args: object, fault: Fault | None = None) -> int:
        self.start(*args, fault=fault)
        return self.wait()

    def moments(self) -> list[str]:
        """What the last child with a fault did in its folder, moment by moment: "before rename PATH"."""
        lines = Path(f"{self.log}.moments").read_text(errors="replace").splitlines()
        return [line.partition(" ")[2] for line in lines]

    def _answer(self) -> int:
        assert self._process.stdout is not None
        return int(self._process.stdout.readline())


class Bench:
    """A place where commands are tried on runs that are in a known state, by servers that are free.

    `folder/states/NAME` holds the runs of a state; a trial gets a copy of them.
    """

    def __init__(self, folder: Path, servers: int) -> None:
        self.folder = folder
        library = compiled_faults(folder)
        self._servers = [Server(folder / f"log-{number}", library) for number in range(servers)]
        self._free: Queue[Server] = Queue()
        for server in self._servers:
            server.log.touch()
            self._free.put(server)

    def close(self) -> None:
        for server in self._servers:
            server.__exit__()

    @contextmanager
    def server(self) -> Iterator[Server]:
        server = self._free.get()
        try:
            yield server
        finally:
            self._free.put(server)

    def place(self, state: str, trial: str) -> Path:
        """A folder for a trial, whose `runs` are those of the state; "": none."""
        place = self.folder / "trials" / trial
        shutil.rmtree(place, ignore_errors=True)
        (place / "out").mkdir(parents=True)
        shutil.copytree(self.folder / "states" / state, place / "runs") if state else (place / "runs").mkdir()
        return place

    def each(self, attempt: Callable[[T], R], trials: Iterable[T]) -> list[R]:
        """As many at a time as there are servers."""
        with ThreadPoolExecutor(len(self._servers)) as pool:
            return list(pool.map(attempt, trials))


def make_training(server: Server, config: Path, runs: Path) -> None:
    """Leaves a run `r` that was killed when its first training had saved a checkpoint."""
    command = ("run", config, "--name", "r", "--runs-dir", runs)
    assert server.run(*command, fault=Fault(runs)) == 0, server.log.read_text()[-3000:]
    saved = next(i for i, moment in enumerate(server.moments(), 1) if moment.endswith("/checkpoint-1"))
    shutil.rmtree(runs)
    assert server.run(*command, fault=Fault(runs, saved + 1)) == KILLED
    assert list(runs.rglob("checkpoint-1"))


def _child(request: dict[str, Any]) -> int:
    from iterdeploy.cli.main import main

    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell that starts tests in the background ignores it
    log = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    null = os.open(os.devnull, os.O_RDONLY)
    for descriptor, target in ((null, 0), (log, 1), (log, 2)):
        os.dup2(descriptor, target)
    if request["folder"] is not None:
        moments = os.open(f"{request['log']}.moments", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND)
        moment = ctypes.c_long(request["moment"])
        ctypes.CDLL(None).faults_arm(request["folder"].encode(), moment, request["error"], moments)
    return main(request["args"])


def _serve() -> None:
    from importlib import import_module

    for module in WARM:
        import_module(module)
    # Drawing takes more time than all the rest of a minuscule run, and calls nothing in the run's folder.
    vars(import_module("iterdeploy.report.drawing.figure"))["for_page"] = lambda *_, **__: ""
    gc.collect()
    gc.freeze()  # a child need not go through all that again
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            sys.exit(_child(json.loads(line)))
        print(pid, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)


if __name__ == "__main__":
    _serve()
