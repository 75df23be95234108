"""JSON over HTTP to one server, through one event loop: bounded, patient, and never with a key in a message.

Failures are told apart by what they mean for a run. A server that is away, or refuses whoever asks (`ServerError`,
`Refused`), ends it. A request that gets nothing usable, however often it is sent (`NoAnswer`), may be the only one.
"""

import asyncio
import math
import random
import ssl
from asyncio import sleep
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import TYPE_CHECKING, Literal, Self, TypeVar

from iterdeploy.redaction import in_a_message
from iterdeploy.samplers.endpoint import Endpoint
from iterdeploy.samplers.errors import ADVICE, NoAnswer, Refused, ServerError, Unusable

if TYPE_CHECKING:
    import httpx
    from tenacity import RetryCallState

T = TypeVar("T")

RETRIED = {408, 409, 425, 429}
"""Status codes below 500 after which the same request may succeed; from 500 on all are retried."""
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 60.0
"""Seconds before the second try, doubled with each further one, times a random factor from 0.5 to 1."""
CONNECT_TIMEOUT = 10.0
KEPT_OPEN = 2.0
"""Seconds that an idle connection is used again. Servers close theirs after 5 and more, and a request that crosses the
closing on its way is lost."""
SILENCE = 60.0
"""Seconds between two pieces of a reply, once it has begun."""
SLOW_TRIES = 2
"""How often an answer is waited for that takes longer than it may: as its seed is the same, so is its length."""
SPARE_BYTES, BYTES_PER_TOKEN = 2**20, 1000
"""A reply may have so many bytes, and so many more for each token that it holds."""


class _Failure(Exception):
    """One try that failed."""

    def __init__(self, kind: Literal["away", "slow", "bad"], reason: str, pause: float = 0.0) -> None:
        super().__init__(reason)
        self.kind = kind
        self.pause = pause
        """Seconds that the server asks to wait."""


class Client:
    """An asynchronous context manager; everything happens in the event loop in which it is entered."""

    def __init__(
        self,
        endpoint: Endpoint,
        limit: float,
        retries: int,
        connections: int,
        elsewhere: Callable[[], bool] = lambda: False,
    ) -> None:
        """`limit`: seconds that a whole reply may take. `retries`: further tries of a request that failed.
        `elsewhere`: whether another server is there, so that one that is away is not waited for."""
        self._address = endpoint.address
        self._endpoint = endpoint
        self._limit = limit
        self._retries = retries
        self._connections = connections
        self._elsewhere = elsewhere

    async def __aenter__(self) -> Self:
        import httpx

        try:
            _ = httpx.URL(self._address).host
        except (httpx.InvalidURL, UnicodeError) as error:
            raise ServerError(f"server.address: {self._address} is not an address: {error}") from None
        headers = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
        if self._endpoint.key:
            headers["Authorization"] = f"Bearer {self._endpoint.key}"
        self._http = httpx.AsyncClient(
            headers=headers,
            timeout=httpx.Timeout(None, connect=CONNECT_TIMEOUT),  # the rest is limited in `_exchange`
            limits=httpx.Limits(
                max_connections=self._connections,
                max_keepalive_connections=self._connections,
                keepalive_expiry=KEPT_OPEN,
            ),
            trust_env=False,
            verify=ssl.create_default_context(),
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._http.aclose()

    async def get(self, path: str, read: Callable[[bytes], T]) -> T:
        return await self._patiently("GET", path, None, read, 0)

    async def post(self, path: str, body: Mapping[str, object], read: Callable[[bytes], T], tokens: int = 0) -> T:
        """What `read` makes of the reply's body, which holds that many `tokens`. It raises `Unusable` if that
        is not an answer; then the request is sent again.

        ServerError if the server is away, Refused if it does not want the request, NoAnswer after too many tries.
        """
        return await self._patiently("POST", path, body, read, tokens)

    async def _patiently(
        self, method: str, path: str, body: Mapping[str, object] | None, read: Callable[[bytes], T], tokens: int
    ) -> T:
        from tenacity import AsyncRetrying, retry_if_exception_type

        trying = AsyncRetrying(
            retry=retry_if_exception_type(_Failure),
            stop=self._enough,
            wait=_pause,
            after=lambda _: self._endpoint.check(),
            sleep=sleep,
            reraise=True,
        )
        most = SPARE_BYTES + BYTES_PER_TOKEN * tokens
        try:
            return await trying(self._exchange, method, path, body, read, most)
        except _Failure as failure:
            tries = trying.statistics["attempt_number"]
            if failure.kind == "away":
                raise ServerError(
                    f"{self._address}: away after {tries} tries (the last: {failure}). {ADVICE}"
                ) from None
            raise NoAnswer(self._address, f"no answer after {tries} tries (the last: {failure})") from None

    def _enough(self, state: "RetryCallState") -> bool:
        kind = _failure(state).kind
        return (
            state.attempt_number > self._retries
            or (kind == "slow" and state.attempt_number >= SLOW_TRIES)
            or (kind == "away" and self._elsewhere())
        )

    async def _exchange(
        self, method: str, path: str, body: Mapping[str, object] | None, read: Callable[[bytes], T], most: int
    ) -> T:
        """One try."""
        import httpx

        request = self._http.build_request(method, self._address + path, json=body)
        try:
            async with asyncio.timeout(self._limit):
                response = await self._http.send(request, stream=True)
                try:
                    content = await _content(response, most)
                finally:
                    await response.aclose()
        except TimeoutError:
            raise _Failure("slow", f"it took longer than {self._limit:g} seconds, see server.timeout") from None
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise _Failure("away", in_a_message(f"{type(error).__name__}: {error}")) from None
        except (httpx.TransportError, OSError) as error:
            raise _Failure("bad", in_a_message(f"{type(error).__name__}: {error}")) from None
        self._check_status(path, response, content)
        try:
            return read(content)
        except Unusable as error:
            said = in_a_message(content.decode(errors="replace"))
            raise _Failure("bad", f"{in_a_message(str(error))}; it said {said or 'nothing'}") from None

    def _check_status(self, path: str, response: "httpx.Response", content: bytes) -> None:
        status = response.status_code
        if status == 200:
            return
        said = in_a_message(content.decode(errors="replace"))
        if status in RETRIED or status >= 500 or 200 < status < 300:
            raise _Failure("bad", f"status {status}: {said}", seconds_to_wait(response.headers.get("Retry-After")))
        raise Refused(self._address, path, status, said)


async def _content(response: "httpx.Response", most: int) -> bytes:
    """The body as it was sent; compressed ones, which nobody asked for, could be of any size."""
    if response.headers.get("Content-Encoding", "identity") != "identity":
        raise _Failure("bad", "the reply is compressed, which was not asked for")
    content = bytearray()
    pieces = response.aiter_raw()
    while True:
        try:
            async with asyncio.timeout(SILENCE):
                piece = await anext(pieces, None)
        except TimeoutError:
            raise _Failure("bad", f"the reply broke off: nothing came for {SILENCE:g} seconds") from None
        if piece is None:
            return bytes(content)
        content += piece
        if len(content) > most:
            raise _Failure("bad", f"the reply is longer than the {most:,} bytes that it may have")


def _failure(state: "RetryCallState") -> _Failure:
    assert state.outcome is not None
    failure = state.outcome.exception()
    assert isinstance(failure, _Failure)
    return failure


def _pause(state: "RetryCallState") -> float:
    """Seconds until the next try."""
    pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** (state.attempt_number - 1)) * random.uniform(0.5, 1)
    return max(pause, min(_failure(state).pause, LONGEST_PAUSE))


def seconds_to_wait(header: str | None) -> float:
    """What Retry-After says, as a number of seconds or as a date; 0 where it says nothing that can be read.

    >>> seconds_to_wait("2.5"), seconds_to_wait("Fri, 31 Dec 1999 23:59:59 GMT"), seconds_to_wait("soon")
    (2.5, 0.0, 0.0)
    """
    if not header:
        return 0.0
    try:
        seconds = float(header)
    except ValueError:
        try:
            then = parsedate_to_datetime(header)
            seconds = (then.replace(tzinfo=then.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
        except (ValueError, OverflowError, TypeError):
            return 0.0
    return 0.0 if math.isnan(seconds) else max(0.0, seconds)
