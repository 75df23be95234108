"""A server of the completions protocol that answers at once without a model, and goes wrong where a test says so.

What it should answer follows from the request's seed alone, so a test knows what a run must have stored. A `Wrong` is
what it sends instead (see `wrong_replies`).
"""

import json
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from iterdeploy.samplers.wire import PROBE_TEMPERATURE

KEY = 'no "form"/of+a=key 998877'
"""In a variable whose name says nothing; every way to write it differs from the others."""
VOCABULARY, END = 313, 0
"""The embedded model's."""

Reply = dict[str, Any]


def right(body: Reply) -> Reply:
    """What a server without fault answers: a few tokens that the seed chooses, and an end mark."""
    tokens = [1 + (body["seed"] >> shift) % (VOCABULARY - 1) for shift in (0, 5, 10, 15)]
    logprobs = [-0.25 * (1 + token % 7) for token in tokens]
    choice = {"text": "", "finish_reason": "stop", "token_ids": [*tokens, END],
              "logprobs": {"token_logprobs": [*logprobs, -0.5]}}  # fmt: skip
    return {"model": body["model"], "choices": [choice]}


@dataclass
class Exchange:
    """A request that is to be answered wrongly, and the connection to do it on."""

    body: Reply
    connection: socket.socket
    over: threading.Event
    """Set when the server ends: what waits or never ends stops."""

    def send(self, *pieces: bytes, pause: float = 0.0) -> None:
        for piece in pieces:
            self.connection.sendall(piece)
            self.over.wait(pause)

    def reply(self, content: bytes, status: str = "200 OK", *headers: str, last: bool = True) -> None:
        """`last`: the connection is closed after it, and says so; else a client may send its next request into it."""
        closing = ["Connection: close"] if last else []
        head = [f"HTTP/1.1 {status}", f"Content-Length: {len(content)}", *closing, *headers, "", ""]
        self.send("\r\n".join(head).encode(), content)


Wrong = Callable[[Exchange], None]


@dataclass
class Server:
    address: str
    over: threading.Event
    wrong: Wrong | None = None
    models: Wrong | None = None
    """Instead of the list of models."""
    only: int | None = None
    """The one request, counted by its first try from 0, that is answered wrongly; None: all from `after` on."""
    after: int = 0
    only_answers: bool = False
    """The short request that tries the server is spared."""
    seeds: list[int] = field(default_factory=list)
    """Of the requests, without the short one, in the order of their first tries."""
    tries: Counter[int] = field(default_factory=Counter)
    """Seed -> how often that request was sent."""
    asked: int = 0
    """Requests, with all their tries."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    without_logprobs: bool = False
    """What is right has none: they would not be those of any model."""
    leave: Callable[[], None] = lambda: None
    """Nobody listens from then on."""
    gone: bool = False

    def heal(self) -> None:
        self.wrong = self.models = None

    def turn(self, body: Reply) -> int:
        """Which request it is; -1 for the short one that tries the server."""
        with self.lock:
            self.asked += 1
            if body["temperature"] == PROBE_TEMPERATURE:
                return -1
            self.tries[body["seed"]] += 1
            if body["seed"] not in self.seeds:
                self.seeds.append(body["seed"])
            return self.seeds.index(body["seed"])

    def goes_wrong(self, turn: int) -> bool:
        if self.wrong is None or (self.only_answers and turn < 0):
            return False
        return turn == self.only if self.only is not None else len(self.seeds) > self.after or self.after == 0


@contextmanager
def misbehaving() -> Iterator[Server]:
    handler = type("Handler", (_Handler,), {})
    http = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    http.daemon_threads = True
    http.handle_error = lambda *_: None  # type: ignore[method-assign]  # clients that hang up are part of the tests
    server = Server(f"http://127.0.0.1:{http.server_address[1]}/v1", threading.Event())
    handler.server_state = server  # type: ignore[attr-defined]
    thread = threading.Thread(target=http.serve_forever, args=[0.02])
    thread.start()

    def leave() -> None:
        server.gone = True
        server.over.set()
        http.shutdown()
        http.server_close()
        thread.join()

    server.leave = leave
    try:
        yield server
    finally:
        leave()


class _Handler(BaseHTTPRequestHandler):
    server_state: Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        self._answer({"seed": 0, "model": "embedded"}, {"data": [{"id": "embedded"}]}, self.server_state.models)

    def do_POST(self) -> None:
        state = self.server_state
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if state.gone:
            self.close_connection = True
            return
        if body.get("echo"):  # given text is not scored
            self._answer(body, {"choices": [{"text": "", "finish_reason": "length"}]}, None)
            return
        wrong = state.wrong if state.goes_wrong(state.turn(body)) else None
        answer = right(body)
        if state.without_logprobs:
            del answer["choices"][0]["logprobs"]
        self._answer(body, answer, wrong)

    def _answer(self, body: Reply, value: Reply, wrong: Wrong | None) -> None:
        exchange = Exchange(body, self.connection, self.server_state.over)
        if wrong is None:
            exchange.reply(json.dumps(value).encode(), last=False)
            return
        self.close_connection = True
        wrong(exchange)
