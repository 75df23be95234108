"""What keeps one client of a server from keeping out the others: a limit to how many there are, and to how long a
request may take to arrive."""

import io
import socket
import threading
import time
from contextlib import suppress

MOST = 100
"""Connections at once."""
WAIT = 10.0
"""Seconds in which a request must have arrived, from its first byte or the end of the one before it to its last."""
SEND = 60.0
"""Seconds in which an answer must have been taken."""


class Arriving(io.RawIOBase):
    """What comes from a socket before a deadline. TimeoutError after it, however often something comes."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._deadline = time.monotonic() + WAIT

    def begin(self) -> None:
        """A request is waited for from now on."""
        self._deadline = time.monotonic() + WAIT

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "memoryview") -> int:  # type: ignore[override]
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._connection.settimeout(left)
        return self._connection.recv_into(buffer)


class Connections:
    """The connections that are open, and since when each waits for a request. Safe to be used from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: dict[socket.socket, float | None] = {}

    def open(self, connection: socket.socket) -> bool:
        """Takes it in; False if there is no room. Where there are too many, the one that has waited longest goes."""
        with self._lock:
            if len(self._waiting) >= MOST:
                idle = [(since, one) for one, since in self._waiting.items() if since is not None]
                if not idle:
                    return False
                _, oldest = min(idle, key=lambda pair: pair[0])
                del self._waiting[oldest]
                hang_up(oldest)
            self._waiting[connection] = time.monotonic()
            return True

    def waits(self, connection: socket.socket) -> None:
        with self._lock:
            self._set(connection, time.monotonic())

    def answers(self, connection: socket.socket) -> None:
        with self._lock:
            self._set(connection, None)
        connection.settimeout(SEND)

    def close(self, connection: socket.socket) -> None:
        with self._lock:
            self._waiting.pop(connection, None)

    def _set(self, connection: socket.socket, since: float | None) -> None:
        if connection in self._waiting:
            self._waiting[connection] = since


def hang_up(connection: socket.socket) -> None:
    """Wakes whoever reads from it; they close it."""
    with suppress(OSError):  # the other side may have been faster
        connection.shutdown(socket.SHUT_RDWR)
