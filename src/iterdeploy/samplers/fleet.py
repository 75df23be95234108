"""One or several servers that have the same policy. Each request goes to the one with the fewest under way.

A server that cannot be used is given up while another one is left, and all its requests go to the others, with the
same seeds. It is tried again now and then, and used again once it says of known texts what it said before.
"""

import asyncio
import logging
import math
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from functools import reduce
from types import TracebackType
from typing import Self

from iterdeploy.config import RunConfig
from iterdeploy.samplers.endpoint import Endpoint
from iterdeploy.samplers.errors import ADVICE, ServerError
from iterdeploy.samplers.protocol import Failed, TokenPair
from iterdeploy.samplers.replica import Replica
from iterdeploy.samplers.wire import Offer, Wire, common
from iterdeploy.types import Completion, Policy, Prompt

log = logging.getLogger(__name__)

TRY_AGAIN = 30.0
"""Seconds after which a server that was given up is tried again."""
CLEAR_GAP = {"float32": 0.001, "bfloat16": 0.03}
"""Precision -> nats per token from which on a difference is not one of rounding."""


class Fleet:
    """An asynchronous context manager; everything happens in the event loop in which it is entered."""

    def __init__(self, endpoints: Sequence[Endpoint], policy: Policy, config: RunConfig, chat: bool) -> None:
        self._replicas = [Replica(endpoint, policy, config, chat, self._elsewhere) for endpoint in endpoints]
        self._there = list(self._replicas)
        self._away: set[asyncio.Task[None]] = set()
        self._config = config
        self._known: Sequence[tuple[TokenPair, Sequence[float]]] = ()
        """What the servers said of texts, before anything was sampled."""
        self.offer: Offer
        """What all of them return."""

    @property
    def names(self) -> str:
        return ", ".join(replica.address for replica in self._replicas)

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            for replica in self._replicas:
                await stack.enter_async_context(replica.client)
            stack.callback(self._forget_the_away)
            ends = await asyncio.gather(*(replica.start() for replica in self._replicas), return_exceptions=True)
            for replica, end in zip(self._replicas, ends, strict=True):
                if isinstance(end, ServerError):
                    self._give_up(replica, end)
                elif end is not None:
                    raise end
            self.offer = replace(reduce(common, (replica.wire.offer for replica in self._there)), model=None)
            for replica in self._there:
                replica.wire = _with(replica, self.offer)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def answer(self, prompt: Prompt, seed: str) -> Completion | Failed:
        """By whichever server is there. ServerError when there is none left."""
        while True:
            replica = min(self._there, key=lambda there: there.under_way)
            try:
                return await replica.answer(prompt, seed)
            except ServerError as error:
                self._give_up(replica, error)

    async def scores(self, rows: Sequence[TokenPair]) -> list[list[float]] | None:
        """log p of each completion's tokens, of which all servers say the same; None if they do not tell."""
        if not self.offer.scores:
            return None
        first, *others = self._there
        self._known = list(zip(rows, await self._scored(first, rows), strict=True))
        for other in others:
            if not await self._agrees(other):
                raise ServerError(
                    f"{other.address}: this server has other weights than {first.address}: what the two say of the "
                    "same texts differs by more than rounding. Start both with the same model and the same adapters"
                )
        return [list(values) for _, values in self._known]

    async def _scored(self, replica: Replica, rows: Sequence[TokenPair]) -> list[list[float]]:
        scored = [await replica.score(*row) for row in rows]
        found = [values for values in scored if values is not None]
        if len(found) < len(scored):
            raise ServerError(f"{replica.address}: the server scored given text when it was tried, and no longer does")
        return found

    async def _agrees(self, replica: Replica) -> bool:
        """Whether the server says of known texts what the others said."""
        found = await self._scored(replica, [row for row, _ in self._known])
        pairs = zip(found, (values for _, values in self._known), strict=True)
        gaps = [abs(a - b) for ours, theirs in pairs for a, b in zip(ours, theirs, strict=True)]
        return math.fsum(gaps) / max(1, len(gaps)) <= CLEAR_GAP[self._config.model.dtype]

    def _elsewhere(self, replica: Replica) -> bool:
        return any(there is not replica for there in self._there)

    def _give_up(self, replica: Replica, error: ServerError) -> None:
        """Its requests go to the other servers. Raises the error where there are none."""
        if not self._elsewhere(replica):
            raise error
        if replica in self._there:
            self._there.remove(replica)
            reason = str(error).removesuffix(f". {ADVICE}")
            log.warning("%s; its requests go to the other %d", reason, len(self._there))
            self._away.add(asyncio.create_task(self._come_back(replica)))

    async def _come_back(self, replica: Replica) -> None:
        while True:
            await asyncio.sleep(TRY_AGAIN)
            try:
                await replica.start()
                if common(self.offer, replica.wire.offer) != self.offer or not await self._agrees(replica):
                    log.warning("%s: answers again, but not as it did, and is not used", replica.address)
                    return
            except ServerError:
                continue
            replica.wire = _with(replica, self.offer)
            self._there.append(replica)
            log.warning("%s: answers again", replica.address)
            return

    def _forget_the_away(self) -> None:
        for task in self._away:
            task.cancel()


def _with(replica: Replica, offer: Offer) -> Wire:
    return replace(replica.wire, offer=replace(offer, model=replica.wire.offer.model))
