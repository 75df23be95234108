"""Sampling with a vLLM server of our own, which runs only while a generation is sampled.

A separate process gives all of the accelerator's memory back before training begins, and it may live in an environment
of its own with the versions that vLLM wants. It is reached like any other server (`openai.py`). With LoRA it serves the
base model and loads the generation's adapter; with full fine-tuning it serves the generation's weights. If it ends by
itself it is started again, and batches that are not whole are asked for again with the same seeds.
"""

import contextlib
import logging
import os
import re
import secrets
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from iterdeploy.config import RunConfig
from iterdeploy.redaction import remember, without_keys
from iterdeploy.samplers import supervisor
from iterdeploy.samplers.endpoint import Endpoint
from iterdeploy.samplers.errors import ServerDied, ServerError
from iterdeploy.samplers.openai import OpenAiSampler
from iterdeploy.samplers.protocol import BatchAnswers, PromptBatch, TokenPair
from iterdeploy.sections import ConfigError
from iterdeploy.types import Completion, Policy, Prompt

log = logging.getLogger(__name__)

BASE = "base"
"""What the server calls the model that it is started with."""
RANKS = (8, 16, 32, 64, 128, 256, 320, 512)
"""Largest ranks of adapters that vLLM can be started with."""
OLDEST = (0, 10, 2)
"""The first version with `return_token_ids` in its completions and `--logprobs-mode`."""
FIND = """
import importlib.metadata, importlib.util, sys
if importlib.util.find_spec("vllm") is None:
    sys.exit(1)
try:
    print(importlib.metadata.version("vllm"))
except importlib.metadata.PackageNotFoundError:
    pass
"""
"""What an interpreter is asked: whether it has vLLM, and which version."""
LOG_LINES = 15
"""Of the end of the server's log, in errors."""
START_TIMEOUT = 1800.0
"""Seconds, or as many as server.timeout allows for an answer."""
STOP_TIMEOUT = 40.0
"""Seconds; the supervisor needs at most 20."""


def interpreter(config: RunConfig) -> str:
    return config.server.python or os.environ.get("ITERDEPLOY_VLLM_PYTHON") or sys.executable


def check_vllm(config: RunConfig) -> None:
    """ConfigError if there is no vLLM to start. Looks for the package without importing it."""
    python = interpreter(config)
    try:
        asked = subprocess.run([python, "-c", FIND], capture_output=True, text=True)
    except OSError as error:
        raise ConfigError(f"server.python: {python} cannot be run: {error.strerror}") from None
    if asked.returncode:
        raise ConfigError(
            f'sampling.sampler = "vllm", but {python} has no vllm: install it, for example in an environment of its '
            "own, and name that environment's interpreter in server.python or ITERDEPLOY_VLLM_PYTHON"
        )
    check_version(asked.stdout.strip())
    _rank(config)


def check_version(version: str) -> None:
    """ConfigError for a vLLM that lacks what is asked of it. One that does not say its version is believed.

    >>> check_version("0.33.0"), check_version("")
    (None, None)
    """
    numbers = re.match(r"(\d+)\.(\d+)(?:\.(\d+))?", version)
    if numbers and tuple(int(number or 0) for number in numbers.groups()) < OLDEST:
        raise ConfigError(
            f"server.python: vLLM {version} does not return the ids and the log-probabilities that it samples; install "
            f"{'.'.join(map(str, OLDEST))} or later"
        )


class VllmSampler:
    served = True
    check = staticmethod(check_vllm)

    def __init__(self, policy: Policy, config: RunConfig) -> None:
        self._policy = policy
        self._config = config
        self._process: subprocess.Popen[bytes] | None = None
        self._log = Path()
        self._restarts = 0

    @property
    def source(self) -> str:
        return self._inside.source

    def __enter__(self) -> Self:
        port, key = _free_port(), remember(secrets.token_urlsafe(24))
        try:
            self._start(port, key)
            address = f"http://127.0.0.1:{port}"
            self._await_health(address)
            endpoint = Endpoint(f"{address}/v1", key, BASE, self._check_alive)
            self._inside = OpenAiSampler(self._policy, self._config, endpoint)
            self._inside.__enter__()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._process is not None
        well = error is None and self._process.poll() is None
        try:
            self._inside.__exit__(kind, error, traceback)
        finally:
            self._stop()
        if well:
            self._log.unlink()

    def sample(self, prompts: Sequence[Prompt], seed: int) -> list[Completion]:
        return self._inside.sample(prompts, seed)

    def answers(self, asked: Sequence[PromptBatch]) -> Iterator[BatchAnswers]:
        """Every batch once, by as many servers after each other as it takes."""
        owed = dict(enumerate(asked))
        while owed:
            places = list(owed)
            try:
                for answered in self._inside.answers([owed[place] for place in places]):
                    del owed[place := places[answered.index]]
                    yield BatchAnswers(place, answered.completions)
            except ServerDied as died:
                self._restart(died)

    def logprobs(self, rows: Sequence[TokenPair]) -> list[list[float]] | None:
        return self._inside.logprobs(rows)

    def _restart(self, died: ServerDied) -> None:
        most = self._config.server.restarts
        if self._restarts == most:
            raise ServerError(
                f"{died}\nIt was started again {most} times, as often as server.restarts allows"
            ) from None
        self._restarts += 1
        log.warning(
            "the vLLM server ended by itself (%s); starting it again, %d of at most %d times",
            self._log,
            self._restarts,
            most,
        )
        self.__exit__(type(died), died, None)
        self.__enter__()

    def _start(self, port: int, key: str) -> None:
        environment = {
            **os.environ,
            "HF_HUB_OFFLINE": "1",
            "VLLM_NO_USAGE_STATS": "1",
            "VLLM_ALLOW_RUNTIME_LORA_UPDATING": "True",
            "VLLM_API_KEY": key,
        }
        handle, name = tempfile.mkstemp(prefix="iterdeploy-vllm-", suffix=".log")
        self._log = Path(name)
        with os.fdopen(handle, "wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, supervisor.__file__, *self._command(port)],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,
            )

    def _command(self, port: int) -> list[str]:
        policy, config = self._policy, self._config
        weights = policy.base_model if policy.adapter or policy.weights is None else policy.weights
        command = [interpreter(config), "-m", "vllm.entrypoints.openai.api_server"]
        command += ["--model", weights, "--served-model-name", BASE, "--dtype", config.model.dtype]
        command += ["--host", "127.0.0.1", "--port", str(port), "--seed", str(config.seed % 2**31)]
        command += ["--max-num-seqs", str(config.server.concurrency)]
        # What requests do not say is vLLM's own default, not the model's; log-probabilities are those at temperature 1.
        command += ["--generation-config", "vllm", "--logprobs-mode", "raw_logprobs"]
        if config.model.trust_remote_code:
            command += ["--trust-remote-code"]
        if policy.adapter:
            command += ["--enable-lora", "--max-lora-rank", str(_rank(config))]
        return [*command, *config.server.arguments]

    def _await_health(self, address: str) -> None:
        import httpx

        seconds = max(START_TIMEOUT, self._config.server.timeout)
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self._check_alive()
            with contextlib.suppress(httpx.TransportError):
                if httpx.get(f"{address}/health", timeout=5, trust_env=False).status_code == 200:
                    return
            time.sleep(0.5)
        raise ServerError(self._told(f"vLLM was not ready after {seconds:g} seconds"))

    def _check_alive(self) -> None:
        assert self._process is not None
        if self._process.poll() is not None:
            raise ServerDied(self._told("the vLLM server ended by itself"))

    def _told(self, problem: str) -> str:
        lines = self._log.read_text(errors="replace").splitlines()[-LOG_LINES:]
        return without_keys(f"{problem}. The end of its log, {self._log}:\n" + "\n".join(lines))

    def _stop(self) -> None:
        """Returns when every process of the server is gone."""
        if self._process is None:
            return
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(STOP_TIMEOUT)


def _rank(config: RunConfig) -> int:
    wanted = config.training.lora_rank if config.training.method == "lora" else 0
    try:
        return next(rank for rank in RANKS if rank >= wanted)
    except StopIteration:
        raise ConfigError(f"training.lora_rank: vLLM serves adapters of rank {RANKS[-1]} at most") from None


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
