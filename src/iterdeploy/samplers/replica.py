"""One server that has the policy: what it returns is found out when it starts, and then it is asked for answers.

A request that the server has no usable answer to is `Failed`, if the server answers another one. Every `ServerError`
that leaves this class means that the server itself cannot be used.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from iterdeploy.config import RunConfig
from iterdeploy.samplers.client import Client
from iterdeploy.samplers.endpoint import Endpoint
from iterdeploy.samplers.errors import ADVICE, NoAnswer, Refused, ServerError
from iterdeploy.samplers.protocol import Failed
from iterdeploy.samplers.replies import Models, parsed
from iterdeploy.samplers.wire import PROBE, Wire
from iterdeploy.types import Completion, Policy, Prompt

log = logging.getLogger(__name__)

T = TypeVar("T")

SHORT_ANSWER = 8192
"""Tokens up to which server.timeout holds as it stands; longer answers may take longer, in proportion."""


class Replica:
    def __init__(
        self, endpoint: Endpoint, policy: Policy, config: RunConfig, chat: bool, elsewhere: Callable[["Replica"], bool]
    ) -> None:
        """`elsewhere`: whether another server would take its requests, so that nobody waits for this one."""
        server = config.server
        limit = server.timeout * max(1.0, config.sampling.max_new_tokens / SHORT_ANSWER)
        self.address = endpoint.address
        self.client = Client(endpoint, limit, server.retries, server.concurrency, lambda: elsewhere(self))
        self.under_way = 0
        """Requests that it was given and that are not answered yet."""
        self.wire: Wire
        self._endpoint = endpoint
        self._policy = policy
        self._config = config
        self._chat = chat
        self._room = asyncio.Semaphore(server.concurrency)
        self._failures = 0

    async def start(self) -> None:
        """Loads the policy's adapter, if it has one, and finds out what the server returns."""
        name = await self._model_name()
        wire = Wire.of(Path(self._policy.base_model), self._config, self._chat, name)
        self.wire = await self._tried(wire)

    async def answer(self, prompt: Prompt, seed: str) -> Completion | Failed:
        """Failed only if the server answers a short request at that time: then it is not the server that failed."""
        self.under_way += 1
        try:
            async with self._room:
                return await self._answer(prompt, seed)
        finally:
            self.under_way -= 1

    async def score(self, prompt: Sequence[int], tokens: Sequence[int]) -> list[float] | None:
        """log p of each of the tokens, in nats; None from a server that does not tell."""
        return await self._score(self.wire, prompt, tokens)

    async def _answer(self, prompt: Prompt, seed: str) -> Completion | Failed:
        ids = self.wire.ids(prompt)
        try:
            return await self._ask(self.wire, self.wire.body(prompt, seed), partial(self.wire.completion, ids))
        except NoAnswer as none:
            reason = none.reason
        except Refused as refused:
            if not refused.only_this_request:
                raise
            reason = refused.reason
        try:
            await self._ask(self.wire, self.wire.probe(), self.wire.probed)
        except (NoAnswer, Refused):
            raise ServerError(f"{self.address}: {reason}; a short request failed as well. {ADVICE}") from None
        if not self._failures:
            self._warn(f"an answer counts as an error, and so will all further ones like it: {reason}")
        self._failures += 1
        return Failed(ids, reason)

    async def _ask(self, wire: Wire, body: Mapping[str, Any], read: Callable[[bytes], T], echoed: int = 0) -> T:
        return await self.client.post(wire.route, body, read, body["max_tokens"] + echoed)

    async def _score(self, wire: Wire, prompt: Sequence[int], tokens: Sequence[int]) -> list[float] | None:
        body = wire.scoring(prompt, tokens)
        return await self._ask(wire, body, partial(wire.scores, prompt, tokens), len(prompt) + len(tokens))

    async def _tried(self, wire: Wire) -> Wire:
        """One short answer shows what this server returns, before hours of sampling; warns of what it does not."""
        answer = await self._ask(wire, wire.probe(), wire.probed)
        scores = None
        if wire.tells_ids(answer):
            with suppress(NoAnswer, Refused):
                scores = await self._score(wire, wire.ids(PROBE), answer.choices[0].token_ids or ())
        wire, lacks = wire.tried(answer, scores)
        for lack in lacks:
            self._warn(lack)
        return wire

    def _warn(self, words: str) -> None:
        log.warning("%s: %s", self.address, words)

    async def _model_name(self) -> str:
        """The name under which the server has the policy."""
        if self._policy.adapter:
            return await self._load_adapter()
        if self._endpoint.model:
            return self._endpoint.model
        models = await self.client.get("/models", partial(parsed, Models))
        return models.data[0].id

    async def _load_adapter(self) -> str:
        """Loads this generation's adapter under a name that its content is part of."""
        name = f"gen{self._policy.generation}-{self._policy.id[:8]}"
        path = str(Path(str(self._policy.weights)).resolve())
        try:
            await self.client.post("/load_lora_adapter", {"lora_name": name, "lora_path": path}, lambda _: None)
        except Refused as refused:
            if "already" not in str(refused):
                raise ServerError(
                    f"{refused}. The adapter of generation {self._policy.generation} could not be loaded: the server "
                    "must allow it (vLLM: --enable-lora, --max-lora-rank, VLLM_ALLOW_RUNTIME_LORA_UPDATING=True) and "
                    f"must be able to read {path}"
                ) from None
        return name
