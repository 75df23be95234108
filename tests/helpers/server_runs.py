"""Runs over a server that misbehaves, and what must hold of them."""

import io
import re
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

import iterdeploy.samplers.client as client_module
from helpers.misbehaving import KEY, Server, misbehaving
from helpers.support import values_with, whole_traces
from iterdeploy.config import RunConfig
from iterdeploy.console.progress import Display
from iterdeploy.deployment import served_policy
from iterdeploy.deployment.deploy import ask, deploy
from iterdeploy.deployment.sampled import Sampled
from iterdeploy.record.store import TraceStore
from iterdeploy.steps.components import assemble
from iterdeploy.steps.run import Run
from iterdeploy.types import Trace

ANSWERS = 12
RETRIES = 1
SETTINGS: dict[str, Any] = {
    "generations": 0,
    "tasks.deployed": 6,
    "tasks.held_out": 0,
    "sampling.sampler": "openai",
    "sampling.batch_size": 2,
    "server.concurrency": 2,
    "server.timeout": 2.5,
    "server.retries": RETRIES,
    "server.key_variable": "MYCRED",
}


@contextmanager
def impatient(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server, and a client that knows the key and is not patient for long. The server cannot score given text, so
    nothing would come of a model that is loaded to compare the two."""
    monkeypatch.setattr(served_policy, "policy_logprobs", lambda policy, rows, config: [])
    monkeypatch.setattr(client_module, "FIRST_PAUSE", 0.0)
    monkeypatch.setattr(client_module, "LONGEST_PAUSE", 0.1)
    monkeypatch.setattr(client_module, "SILENCE", 1.5)
    monkeypatch.setenv("MYCRED", KEY)
    with misbehaving() as running:
        yield running


class Deployment:
    """Generation 0 of a run over the server, as `collect` makes it."""

    def __init__(self, server: Server, folder: Path, **settings: Any) -> None:
        values = values_with({**SETTINGS, "server.address": server.address, **settings})
        self.parts = assemble(RunConfig.model_validate(values))
        self.store = TraceStore(folder / "traces.sqlite")
        self.folder = folder

    def go(self) -> dict[tuple[str, int], Trace]:
        """All that is stored in the end, once the generation has been gone through."""
        display = Display(Console(file=io.StringIO()))
        requests = ask(self.parts.tasks.deployed(0), 2)
        run = Run(SimpleNamespace(store=self.store, copy=lambda if_due: None), self.parts, display)  # type: ignore[arg-type]
        deploy(self.parts.base, requests, Sampled(run), run)
        return self.stored()

    def stored(self) -> dict[tuple[str, int], Trace]:
        return {(one.task_id, one.sample_index): one for one in whole_traces(self.store)}


def assert_no_key(text: str) -> None:
    """Not in any form: letters and digits alone, whatever stands between them."""
    seen = re.sub(r"[^a-z0-9]", "", text.lower())
    assert "998877" not in seen and "keyofa" not in seen and "formof" not in seen, text
    inside = b64encode(KEY.encode()).decode()[4:-8]
    assert inside not in text


def assert_nothing_of_the_key_in(folder: Path) -> None:
    for path in folder.rglob("*"):
        assert not path.is_file() or b"998877" not in path.read_bytes(), path
