"""Connections that do not wait for ever: a request must have arrived in its time, its headers as well as its body."""

import asyncio
import json

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from iterdeploy.gateway.openai import OpenAi
from iterdeploy.gateway.refusal import too_slow


def bounded(seconds: float) -> type[H11Protocol]:
    """The protocol of connections whose requests have so many seconds to arrive."""
    body = json.dumps(OpenAi(chat=True).error(too_slow(seconds))).encode()
    head = (
        f"HTTP/1.1 408 \r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )

    class Bounded(H11Protocol):
        _timer: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            self._start()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            if self.conn.their_state not in (h11.IDLE, h11.SEND_BODY):
                self._stop()
            elif self._timer is None:
                self._start()

        def connection_lost(self, exc: Exception | None) -> None:
            self._stop()
            super().connection_lost(exc)

        def _start(self) -> None:
            self._timer = self.loop.call_later(seconds, self._late)

        def _stop(self) -> None:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None

        def _late(self) -> None:
            self._timer = None
            if self.conn.their_state is h11.IDLE:
                self.transport.write(head.encode() + body)
                self.transport.close()
            elif self.conn.their_state is h11.SEND_BODY:
                if self.cycle.response_complete:
                    self.transport.close()
                else:  # whoever reads the body says so
                    self._start()

    return Bounded
