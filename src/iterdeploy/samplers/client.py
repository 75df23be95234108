"""JSON over HTTP to one server: connections that are kept, and patience with a server that is busy or restarts.

Standard library only. Many threads may use one client; `close` makes all of them give up at once.
"""

import contextlib
import http.client
import json
import random
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from iterdeploy.config import UserError

RETRIED = {408, 409, 425, 429, 500, 502, 503, 504, 529}
"""Status codes after which the same request may succeed."""
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 60.0
"""Seconds before the second try, doubled with each further one, times a random factor from 0.5 to 1."""
CONNECT_TIMEOUT = 10.0


class ServerError(UserError):
    """The server cannot be used."""


class Refused(ServerError):
    """The server answered, and said no."""


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    body: bytes
    retry_after: float
    """Seconds that the server asks to wait; 0 if it does not say."""


class Client:
    def __init__(
        self, address: str, key: str, timeout: float, retries: int, check_server: Callable[[], None] = lambda: None
    ) -> None:
        """`check_server` is called after a failure and raises if no further try can succeed."""
        parts = urlsplit(address)
        assert parts.hostname is not None
        secure = parts.scheme == "https"
        self._connection = http.client.HTTPSConnection if secure else http.client.HTTPConnection
        self._host, self._port = parts.hostname, parts.port or (443 if secure else 80)
        self._path = parts.path.rstrip("/")
        self._address, self._key = address, key
        self._timeout, self._retries = timeout, retries
        self._check_server = check_server
        self._idle: list[http.client.HTTPConnection] = []
        self._busy: set[http.client.HTTPConnection] = set()
        self._closed = threading.Event()

    def close(self) -> None:
        """Ends every request that is under way."""
        self._closed.set()
        for connection in [*self._busy, *self._idle]:
            _hang_up(connection)

    def get(self, path: str) -> dict[str, Any]:
        return self._json("GET", path, None)

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """The reply's JSON object; empty where the reply is not JSON. Refused if the server does not want it,
        ServerError if it cannot be reached or stays busy."""
        return self._json("POST", path, json.dumps(body).encode())

    def _json(self, method: str, path: str, body: bytes | None) -> dict[str, Any]:
        reply = self._patiently(method, path, body)
        try:
            value = json.loads(reply.body)
        except ValueError:
            return {}
        return value if isinstance(value, dict) else {}

    def _patiently(self, method: str, path: str, body: bytes | None) -> Reply:
        """The first reply of status 200, after as many tries as the configuration allows."""
        for attempt in range(self._retries + 1):
            asked_to_wait = 0.0
            try:
                reply = self._exchange(method, path, body)
            except (OSError, http.client.HTTPException) as error:
                problem = f"{type(error).__name__}: {error}"
            else:
                if reply.status == 200:
                    return reply
                problem = self._told(reply)
                if reply.status not in RETRIED:
                    raise Refused(f"{self._address}{path}: the server refused: {problem}")
                asked_to_wait = reply.retry_after
            if not self._closed.is_set():
                self._check_server()
            if attempt < self._retries:
                pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2**attempt) * random.uniform(0.5, 1)
                self._closed.wait(max(pause, min(asked_to_wait, LONGEST_PAUSE)))
            if self._closed.is_set():
                raise ServerError(f"{self._address}: closed")
        raise ServerError(
            f"{self._address}: no answer after {self._retries + 1} tries (the last: {problem}). Whole batches are "
            "stored: start the server again, or lower server.concurrency if it is overloaded, and call "
            "`iterdeploy resume`"
        )

    def _exchange(self, method: str, path: str, body: bytes | None) -> Reply:
        """One request on a connection that was kept, or on a new one."""
        while self._idle:
            with contextlib.suppress(ConnectionError, IndexError):  # servers close connections that are idle for long
                return self._over(self._idle.pop(), method, path, body)
        return self._over(self._connection(self._host, self._port, timeout=CONNECT_TIMEOUT), method, path, body)

    def _over(self, connection: http.client.HTTPConnection, method: str, path: str, body: bytes | None) -> Reply:
        self._busy.add(connection)
        try:
            if self._closed.is_set():
                raise TimeoutError("closed")
            if connection.sock is None:
                connection.connect()
                assert connection.sock is not None
                connection.sock.settimeout(self._timeout)
            headers = {"Content-Type": "application/json"}
            if self._key:
                headers["Authorization"] = f"Bearer {self._key}"
            connection.request(method, self._path + path, body, headers)
            response = connection.getresponse()
            reply = Reply(response.status, response.read(), _seconds(response.getheader("Retry-After")))
        except BaseException:
            self._busy.discard(connection)
            connection.close()
            raise
        self._busy.discard(connection)
        self._idle.append(connection)
        return reply

    def _told(self, reply: Reply) -> str:
        text = reply.body.decode(errors="replace").strip()
        if self._key:
            text = text.replace(self._key, "(the key)")
        return f"status {reply.status}: {text[:400]}"


def _seconds(header: str | None) -> float:
    try:
        return max(0.0, float(header or 0))
    except ValueError:
        return 0.0  # a date


def _hang_up(connection: http.client.HTTPConnection) -> None:
    """A thread that waits for this connection is woken up; `close` alone would leave it waiting."""
    if connection.sock is not None:
        with contextlib.suppress(OSError):  # the other side was quicker
            connection.sock.shutdown(socket.SHUT_RDWR)
