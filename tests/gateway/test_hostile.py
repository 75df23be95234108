"""Clients that mean harm, or are only slow: a thousand requests, and three hundred connections that never end."""

import json
import random
import socket
import time
from collections.abc import Iterator

import httpx
import pytest

from helpers.serving import NAME, Live, config_of, tasks_of

pytestmark = pytest.mark.slow
PATHS = ["/", "/v1/models", "/v1/chat/completions", "/v1/completions", "/v1/messages", "/v1/feedback", "/v1/inbox",
         "/v1/traces/x", "/v1/example", "/s/a/v1/models", "/s/%00/v1/chat/completions", "/s/../v1/models", "//",
         "/v1/traces/%2e%2e%2f", "/v1/traces/' OR 1=1 --"]  # fmt: skip
VALUES = [None, True, -1, 2**70, 1e308, float("inf"), "", "x" * 10_000, "\u0000", "\ufffd", [], {}, [[]],
          {"role": "user"}, "'; DROP TABLE traces; --", "../../etc/passwd", {"$ne": 1},
          [{"role": "user", "content": [{"type": "image_url"}]}]]  # fmt: skip
FIELDS = ["model", "messages", "prompt", "max_tokens", "temperature", "stream", "user", "trace", "session", "verdict",
          "correction", "metric", "comment", "system", "stop", "n", "__proto__"]  # fmt: skip


@pytest.fixture(scope="module")
def hurried(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """A deployment that waits two seconds for a request."""
    live = Live(tmp_path_factory.mktemp("hurried"), config_of({"deployment.request_seconds": 2.0}))
    yield live
    said = live.end()
    assert "Traceback" not in said and "failed" not in said, said


BEGUN = b"POST /v1/chat/completions HTTP/1.1\r\n"
JSON = b"Host: 127.0.0.1:PORT\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n{"
SLOW = {
    "says nothing": (b"", b"", 408),
    "headers that never end": (BEGUN, b"", 408),
    "headers, line by line": (BEGUN, b"X-A: b\r\n", 408),
    "a body that never ends": (BEGUN + JSON, b"", 408),
    "a body, sign by sign": (BEGUN + JSON, b" ", 408),
    "a body that nobody wants": (b"POST /nothing HTTP/1.1\r\n" + JSON, b" ", 404),
}
"""What a client sends at once, what it then sends again and again, and how it is answered."""


@pytest.mark.parametrize(("first", "drop", "status"), SLOW.values(), ids=SLOW)
def test_a_slow_client_is_answered_and_its_connection_ends(
    hurried: Live, first: bytes, drop: bytes, status: int
) -> None:
    said, ended, deadline = b"", False, time.monotonic() + 60
    with socket.create_connection(("127.0.0.1", hurried.port)) as connection:
        connection.settimeout(0.2)
        connection.sendall(first.replace(b"PORT", str(hurried.port).encode()))
        while not ended and time.monotonic() < deadline:
            try:
                connection.sendall(drop)
                received = connection.recv(4096)
                said, ended = said + received, not received
            except TimeoutError:
                continue
            except OSError:  # it was ended while more was on its way
                ended = True
    assert ended, "the connection was held open"
    assert said.startswith(f"HTTP/1.1 {status}".encode()), said
    assert (b"too_slow" in said) == (status == 408)


def test_a_quick_client_is_not_hurried(hurried: Live) -> None:
    """Also on a connection that stays open, and where the answer takes longer than the request may."""
    for _ in range(3):
        assert hurried.ask(tasks_of(hurried.config)[0].prompt).status_code == 200
        time.sleep(1)


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    live = Live(tmp_path_factory.mktemp("hostile"), config_of({"deployment.requests_per_minute": 1_000_000}))
    yield live
    said = live.end()
    assert "Traceback" not in said and "failed" not in said, said


def test_a_thousand_hostile_requests_are_answered_and_change_nothing(live: Live) -> None:
    lot = random.Random(16)
    before = live.traces()
    for number in range(1000):
        body = {lot.choice(FIELDS): lot.choice(VALUES) for _ in range(lot.randint(0, 5))}
        if lot.random() < 0.5:
            body = {"model": NAME, **body}
        headers = {"Content-Type": lot.choice(["application/json", "application/json; charset=x", "text/html"])}
        if lot.random() < 0.2:
            headers[lot.choice(["Idempotency-Key", "X-Iterdeploy-User", "X-Iterdeploy-Retention", "Authorization"])] = (
                lot.choice(["x" * 5000, "-1", "Bearer", "a,b", "%00", "0" * 400])
            )
        content = json.dumps(body) if lot.random() < 0.8 else json.dumps(body)[: lot.randint(0, 20)]
        response = live.client.request(
            lot.choice(["GET", "POST", "POST", "POST", "PUT", "DELETE", "OPTIONS"]), lot.choice(PATHS),
            content=content, headers=headers,
        )  # fmt: skip
        assert response.status_code < 500, (number, response.request.url, body, headers, response.text)
        assert "Traceback" not in response.text
    harmless = [trace for trace in live.traces().values() if trace.id not in before]
    assert all(trace.completions[0].token_ids for trace in harmless), "what was answered was really sampled"


def test_three_hundred_slow_clients_hold_up_nobody(live: Live) -> None:
    slow = []
    for number in range(300):
        connection = socket.create_connection(("127.0.0.1", live.port))
        connection.sendall(
            b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        )
        if number % 2:
            connection.sendall(f"Host: 127.0.0.1:{live.port}\r\nContent-Length: 100\r\n\r\n{{".encode())
        slow.append(connection)
    with httpx.Client(base_url=f"http://127.0.0.1:{live.port}", timeout=60) as client:
        body = {"model": NAME, "messages": [{"role": "user", "content": tasks_of(live.config)[0].prompt}]}
        assert client.post("/v1/chat/completions", json=body).status_code == 200
    for connection in slow:
        connection.close()
