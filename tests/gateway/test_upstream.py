"""A deployment whose model is behind another server: what passes through, and what becomes of ids that are lost."""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from helpers.mock_upstream import tokens
from helpers.serving import Live, config_of, events, tasks_of
from helpers.support import TESTS
from iterdeploy.gateway.serve import _listen

pytestmark = pytest.mark.slow

COUNT = 12


@contextmanager
def mock(*options: str, pause: float = 0.0) -> Iterator[str]:
    """Address of a mock server that runs and takes `pause` seconds for each token."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "helpers.mock_upstream", str(port), str(COUNT), str(pause), *options]
    process = subprocess.Popen(command, cwd=TESTS)
    address = f"http://127.0.0.1:{port}/v1"
    try:
        for _ in range(200):
            try:
                httpx.get(f"{address}/models")
                break
            except httpx.HTTPError:
                time.sleep(0.1)
        yield address
    finally:
        process.kill()
        process.wait()


def deployed(folder: Path, address: str) -> Live:
    return Live(
        folder,
        config_of({"sampling.sampler": "openai", "server.address": address, "server.retries": 0,
                   "training.method": "lora"}),
    )  # fmt: skip


@pytest.mark.parametrize("stream", [False, True])
def test_ids_and_log_probabilities_are_those_of_the_server(tmp_path: Path, stream: bool) -> None:
    with mock(pause=0.03) as address:
        live = deployed(tmp_path, address)
        response = live.ask(tasks_of(live.config)[0].prompt, stream=stream)
        trace = live.trace(response.headers["x-iterdeploy-trace"])
        (call,) = trace.completions
        assert list(call.token_ids) == tokens(COUNT) and call.logprobs == (-0.5,) * COUNT
        assert trace.source == "openai" and call.prompt_token_ids
        if stream:
            *chunks, done = events(response)
            text = "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks)
            assert text == trace.text and len(chunks) > 3 and done == "[DONE]"
        live.end()


def test_a_server_that_loses_ids_leaves_a_marked_trace(tmp_path: Path) -> None:
    with mock("lose") as address:
        live = deployed(tmp_path, address)
        trace = live.trace(live.ask(tasks_of(live.config)[0].prompt).json()["id"])
        assert trace.source == "openai (re-tokenised)" and trace.completions[0].logprobs is None
        live.end()


def test_a_server_that_is_gone_is_a_503_and_nothing_is_stored(tmp_path: Path) -> None:
    with mock() as address:
        live = deployed(tmp_path, address)
        assert live.client.get("/v1/models").status_code == 200, "it has reached its server"
    response = live.ask(tasks_of(live.config)[0].prompt)
    assert response.status_code == 503 and int(response.headers["retry-after"]) > 0
    assert response.json()["error"]["code"] == "unavailable" and not live.traces()
    assert "Traceback" not in live.end()


def test_pieces_are_sent_without_waiting_for_an_acknowledgement() -> None:
    """asyncio sets TCP_NODELAY only on sockets that name TCP as their protocol."""
    with _listen("127.0.0.1", 0) as listening:
        assert listening.proto == socket.IPPROTO_TCP
