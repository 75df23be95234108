"""Judges answers: in this process where the task set is the package's own, else in processes of their own.

Other people's verifiers and environments may hang or crash. Each answer, and each step of an environment, has
`validation.timeout` seconds; what takes longer is killed, what dies is replaced, and either is an ERROR of that one
answer.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from multiprocessing.connection import Connection, Pipe
from queue import SimpleQueue
from threading import Lock
from types import TracebackType
from typing import Protocol, Self
from zlib import crc32

from iterdeploy.config import RunConfig
from iterdeploy.sections import ConfigError
from iterdeploy.tasks.environment import Reply
from iterdeploy.types import Completion, Observation, Task, Verdict

Answer = tuple[Task, Sequence[Completion]]
"""A task and the calls of the model so far; in an environment that only begins there are none."""

START = 120.0
"""Seconds that a verifier's module may take to load."""


class Judges(Protocol):
    turns: int
    """Calls of the model that an answer may have: 1, or more in an environment."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...

    def replies(self, answers: Sequence[Answer]) -> list[Reply]:
        """One for each answer, in their order: its verdict, or what the model reads before its next turn."""
        ...


def verdicts(judges: Judges, answers: Sequence[Answer]) -> list[Verdict]:
    """Of answers that are over: an episode that still goes on is one that was truncated."""
    return [reply if isinstance(reply, Verdict) else Verdict.truncated() for reply in judges.replies(answers)]


class LocalJudges:
    """Judges in this process, one answer after the other: for verifiers that are fast and can be trusted."""

    def __init__(self, judge: Callable[[Task, Sequence[Completion]], Reply], turns: int = 1) -> None:
        self._judge = judge
        self.turns = turns

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        pass

    def replies(self, answers: Sequence[Answer]) -> list[Reply]:
        return [self._judge(task, completions) for task, completions in answers]


class VerifierProcess:
    """One process that holds the task set and judges one answer after the other."""

    def __init__(self, config: RunConfig) -> None:
        self._config = config
        self._process: subprocess.Popen[bytes] | None = None
        self._pipe: Connection | None = None
        self.lock = Lock()
        """For those who share the process."""

    def judge(self, task: Task, completions: Sequence[Completion]) -> Reply:
        """Never raises for what the verifier does. ConfigError where its task set cannot be made."""
        pipe, seconds = self._started(), self._config.validation.timeout
        try:
            pipe.send((task, tuple(completions)))
            while pipe.poll(seconds):
                reply = pipe.recv()
                if reply is not None:  # an environment that begins another step sends None
                    assert isinstance(reply, Verdict | Observation)
                    return reply
            reason = f"the verifier did not answer within validation.timeout = {seconds:g} seconds and was ended"
        except (EOFError, OSError):
            status = self._process.wait() if self._process else None
            reason = f"the verifier's process ended with exit status {status} while it judged this answer"
        self.close()
        return Verdict.error(reason)

    def _started(self) -> Connection:
        if self._pipe is None:
            self._pipe, theirs = Pipe()
            self._process = subprocess.Popen(
                [sys.executable, "-m", "iterdeploy.tasks.verifier", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                start_new_session=True,  # so that what the verifier started ends with it
            )
            theirs.close()
            self._pipe.send(self._config.model_dump_json())
            try:
                problem = self._pipe.recv() if self._pipe.poll(START) else "it takes too long to load"
            except (EOFError, OSError):
                problem = "its process ended while it was loaded"
            if problem:
                self.close()
                raise ConfigError(f"tasks.kind: {self._config.tasks.kind}: {problem}")
        return self._pipe

    def close(self) -> None:
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        if self._pipe is not None:
            self._pipe.close()
        self._process = self._pipe = None


class ProcessJudges:
    """Several verifier processes, started when they are first needed, ended on exit."""

    def __init__(self, config: RunConfig, turns: int = 1) -> None:
        self.turns = turns
        count = config.validation.processes or os.cpu_count() or 1
        self._all = [VerifierProcess(config) for _ in range(count)]
        self._threads = ThreadPoolExecutor(count)
        self._idle: SimpleQueue[VerifierProcess] = SimpleQueue()
        for process in self._all:
            self._idle.put(process)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._threads.shutdown(wait=error is None, cancel_futures=True)
        for process in self._all:
            process.close()

    def replies(self, answers: Sequence[Answer]) -> list[Reply]:
        return list(self._threads.map(self._judge if self.turns == 1 else self._at_home, answers))

    def _at_home(self, answer: Answer) -> Reply:
        """By the process that remembers the episodes of this task."""
        home = self._all[crc32(answer[0].id.encode()) % len(self._all)]
        with home.lock:
            return home.judge(*answer)

    def _judge(self, answer: Answer) -> Reply:
        process = self._idle.get()
        try:
            return process.judge(*answer)
        finally:
            self._idle.put(process)
