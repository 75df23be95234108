"""Sampling in this process and in others of this machine, a batch each at a time.

Which process answers a batch changes nothing: the seed belongs to the batch, and all processes use the same number of
threads. So the answers are the same bits whatever the number of processes. This process samples as well. The others
load meanwhile, and are only started when what is left is worth it.
"""

import os
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from multiprocessing.connection import Pipe, wait
from types import TracebackType

from iterdeploy.config import RunConfig
from iterdeploy.samplers.protocol import BatchAnswers, PromptBatch
from iterdeploy.samplers.transformers import TransformersSampler
from iterdeploy.sections import UserError
from iterdeploy.types import Completion, Policy

WORTH_IT = 20.0
"""Seconds of sampling left from which on further processes are started where `sampling.processes` is 0."""


class SamplingError(UserError):
    """A process that samples ended."""


class SamplingProcess:
    """One further process that holds the model and answers one batch at a time."""

    busy = False

    def __init__(self, policy: Policy, config: RunConfig) -> None:
        self.pipe, theirs = Pipe()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "iterdeploy.samplers.worker", str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
        )
        theirs.close()
        with suppress(OSError):  # that it ended is noticed where it is to answer
            self.pipe.send((policy, config.model_dump_json()))

    def ask(self, index: int, batch: PromptBatch) -> None:
        self.busy = True
        with suppress(OSError):
            self.pipe.send((index, list(batch.prompts), batch.seed))

    def receive(self) -> tuple[int, list[Completion]]:
        """A batch's index and completions; the index is -1 when the model has been loaded."""
        try:
            index, completions = self.pipe.recv()
        except (EOFError, OSError):
            status = self._process.wait()
            why = " (killed, perhaps for lack of memory)" if status == -9 else ""
            raise SamplingError(
                f"a sampling process ended with exit status {status}{why}; what was answered is stored: lower "
                "sampling.processes with a new run, or free memory, and call `iterdeploy resume`"
            ) from None
        self.busy = False
        return index, completions

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        self.pipe.close()


class ParallelSampler(TransformersSampler):
    """The in-process sampler with further processes at its side."""

    def __init__(self, policy: Policy, config: RunConfig) -> None:
        super().__init__(policy, config)
        self._others: list[SamplingProcess] = []

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._end()
        super().__exit__(kind, error, traceback)

    def answers(self, asked: Sequence[PromptBatch]) -> Iterator[BatchAnswers]:
        """Every batch, in the order in which they are done."""
        owed, wanted = deque(range(len(asked))), self._config.sampling.processes
        self._start(min(wanted, len(asked)) - 1)
        while owed or any(other.busy for other in self._others):
            for other in self._ready(wait_for_one=not owed):
                index, completions = other.receive()
                if owed:
                    other.ask(taken := owed.popleft(), asked[taken])
                if index >= 0:
                    yield BatchAnswers(index, completions)
            if owed:
                started, index = time.monotonic(), owed.popleft()
                yield BatchAnswers(index, self.sample(asked[index].prompts, asked[index].seed))
                left = (time.monotonic() - started) * len(owed)
                if wanted == 0 and not self._others and left > WORTH_IT:
                    self._start(min(self._useful, len(owed)) - 1)
        self._end()

    def _ready(self, wait_for_one: bool) -> list[SamplingProcess]:
        found = wait([other.pipe for other in self._others], None if wait_for_one else 0)
        return [other for other in self._others if other.pipe in found]

    @property
    def _useful(self) -> int:
        """One process for each `model.threads` cores; on a GPU, this one alone."""
        import torch

        return len(os.sched_getaffinity(0)) // torch.get_num_threads() if self._here.device == "cpu" else 1

    def _start(self, count: int) -> None:
        import torch

        model = self._config.model.model_copy(update={"threads": torch.get_num_threads()})
        config = self._config.model_copy(update={"model": model})
        self._others += [SamplingProcess(self._policy, config) for _ in range(count)]

    def _end(self) -> None:
        for other in self._others:
            other.close()
        self._others.clear()
