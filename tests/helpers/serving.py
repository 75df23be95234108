"""A deployment of the minuscule configuration, served by `iterdeploy serve` in a process of its own."""

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx

from helpers.support import values_with
from iterdeploy.config import RunConfig
from iterdeploy.gateway.serve import open_folder
from iterdeploy.record.store import TraceStore
from iterdeploy.record.traffic import Origin, Traffic
from iterdeploy.steps.components import assemble
from iterdeploy.types import Task, Trace

NAME = "live"
DEPLOYED: dict[str, Any] = {
    "tasks.deployed": 40,
    "tasks.held_out": 12,
    "sampling.max_new_tokens": 60,
    "sampling.batch_size": 32,
    "deployment.held_out_traffic": 0.0,
}


def config_of(overrides: Mapping[str, Any] | None = None) -> RunConfig:
    return RunConfig.model_validate(values_with({**DEPLOYED, **(overrides or {})}))


def tasks_of(config: RunConfig) -> list[Task]:
    return list(assemble(config).tasks.deployed(0))


class Live:
    """A process that serves, and a client of it. Started again after a kill, it goes on with the same folder."""

    def __init__(self, runs: Path, config: RunConfig, *options: str) -> None:
        self.path = runs / NAME
        self.config = config
        self._options = options
        self._file = runs / "config.json"
        runs.mkdir(parents=True, exist_ok=True)
        open_folder(self.path, config, ["a test"])
        self.start()

    def start(self) -> None:
        command = [sys.executable, "-m", "iterdeploy", "serve", str(self.path / "config.toml"), "--name", NAME]
        command += ["--runs-dir", str(self.path.parent), "--port", "0", *self._options]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        told = self.process.stdout.readline()
        found = re.search(r"http://(\S+):(\d+)/", told)
        assert found, (told, self.process.communicate(timeout=20))
        self.port = int(found[2])
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=60)

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()
        self.client.close()

    def end(self) -> str:
        """What it wrote to standard error until it was interrupted."""
        self.client.close()
        self.process.send_signal(signal.SIGINT)
        return self.process.communicate(timeout=60)[1]

    def ask(self, prompt: str, model: str = NAME, session: str = "", **more: Any) -> httpx.Response:
        """`headers` among them go into the header, all else into the body."""
        headers = more.pop("headers", {})
        body = {"model": model, "messages": [{"role": "user", "content": prompt}], **more}
        prefix = f"/s/{session}" if session else ""
        return self.client.post(f"{prefix}/v1/chat/completions", json=body, headers=headers)

    def settle(self) -> None:
        """Waits until every answer is marked as delivered."""
        for _ in range(200):
            if all(origin.delivered for origin in self.origins().values()):
                return
            time.sleep(0.05)
        raise AssertionError("an answer is not marked as delivered")

    def traces(self) -> dict[str, Trace]:
        store = TraceStore(self.path / "traces.sqlite", read_only=True)
        found = {trace.id: trace for trace in store.each([trace.id for trace in store.traces()])}
        store.close()
        return found

    def trace(self, trace_id: str) -> Trace:
        return self.traces()[trace_id]

    def origins(self) -> dict[str, Origin]:
        store = TraceStore(self.path / "traces.sqlite", read_only=True)
        found = {origin.trace_id: origin for origin in Traffic(store).origins()}
        store.close()
        return found


def events(response: httpx.Response) -> list[Any]:
    """The data of a stream's events."""
    said = [line.removeprefix("data: ") for line in response.text.splitlines() if line.startswith("data: ")]
    return [text if text == "[DONE]" else json.loads(text) for text in said]
