"""A model behind a running server of the OpenAI protocol, such as vLLM's: what it sampled passes through.

Prompts are sent as token ids, and ids and log-probabilities come from the server. Where a stream has not as many ids as
the server says that it sampled, the trace is re-tokenised and marked so. New generations are adapters, each loaded
under a name of its own: one that is loaded anew under an old name may be answered from a stale cache.
"""

import json
import secrets
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from iterdeploy.config import RunConfig
from iterdeploy.gateway.engine import Ask, Said
from iterdeploy.gateway.pieces import Pieces
from iterdeploy.samplers.client import Client
from iterdeploy.samplers.endpoint import check_served, only_one
from iterdeploy.samplers.errors import Refused, ServerError, Unusable
from iterdeploy.samplers.replies import Models, parsed
from iterdeploy.samplers.wire import TEXT, Wire
from iterdeploy.types import Policy

if TYPE_CHECKING:
    import httpx

CONNECT = 10.0
"""Seconds to reach the server."""
PAUSE = 0.01
"""Seconds between pieces of an answer: tokens that come faster go on together."""
RETOKENISED = " (re-tokenised)"


@dataclass
class Gathered:
    """The parts of a streamed answer, put together as the reply that it would have been."""

    text: list[str] = field(default_factory=list)
    ids: list[int] = field(default_factory=list)
    logprobs: list[float | None] = field(default_factory=list)
    reason: str | None = None
    model: str | None = None
    counted: int | None = None
    """Tokens, as the server says."""

    def take(self, chunk: Mapping[str, Any]) -> str:
        """Adds a piece. Its text, as the server says it."""
        self.model = chunk.get("model", self.model)
        if usage := chunk.get("usage"):
            self.counted = usage["completion_tokens"]
        if not chunk.get("choices"):
            return ""
        choice = chunk["choices"][0]
        piece = str(choice.get("text") or (choice.get("delta") or {}).get("content") or "")
        self.text.append(piece)
        self.ids += choice.get("token_ids") or []
        self.logprobs += (choice.get("logprobs") or {}).get("token_logprobs") or []
        self.reason = choice.get("finish_reason") or self.reason
        return piece

    def reply(self) -> bytes:
        choice: dict[str, Any] = {"finish_reason": self.reason, "text": "".join(self.text)}
        if self.ids:
            choice["token_ids"] = self.ids
            choice["logprobs"] = {"token_logprobs": self.logprobs}
        return json.dumps({"choices": [choice], "model": self.model}).encode()


class Upstream:
    def __init__(self, config: RunConfig, base: Policy) -> None:
        check_served(config)
        self._config = config
        self._base = base
        self._endpoint = only_one(config)
        self._names: dict[str, str] = {}

    async def start(self) -> None:
        import httpx

        server = self._config.server
        key = {"Authorization": f"Bearer {self._endpoint.key}"} if self._endpoint.key else {}
        self._http = httpx.AsyncClient(
            base_url=self._endpoint.address,
            headers=key,
            timeout=httpx.Timeout(server.timeout, connect=CONNECT),
            limits=httpx.Limits(max_connections=server.concurrency, max_keepalive_connections=server.concurrency),
            trust_env=False,
        )
        self._client = Client(self._endpoint, server.timeout, server.retries, server.concurrency)
        await self._client.__aenter__()
        name = self._endpoint.model
        if not name:
            name = (await self._client.get("/models", partial(parsed, Models))).data[0].id
        self._names[self._base.id] = name
        self._wire = Wire.of(Path(self._base.base_model), self._config, server.api == "chat", name)

    async def stop(self) -> None:
        await self._client.__aexit__(None, None, None)
        await self._http.aclose()

    async def answer(self, policy: Policy, ask: Ask) -> AsyncIterator[str | Said]:
        import httpx

        gathered, body, pieces = Gathered(), await self._body(policy, ask), Pieces(self._wire.tokenizer)
        held, again = "", 0.0
        try:
            async with self._http.stream("POST", self._wire.route.lstrip("/"), json=body) as response:
                if response.status_code != 200:
                    raise ServerError(f"{self._endpoint.address}: status {response.status_code}")
                async for chunk in _chunks(response):
                    held += gathered.take(chunk)
                    if ask.stream and time.monotonic() >= again:
                        piece, held = _piece(pieces, gathered, held), ""
                        again = time.monotonic() + PAUSE
                        yield piece
            if ask.stream:
                yield _piece(pieces, gathered, held)
        except (httpx.HTTPError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise ServerError(f"{self._endpoint.address}: {type(error).__name__}: {error}") from None
        yield self._said(ask, gathered)

    async def _body(self, policy: Policy, ask: Ask) -> dict[str, Any]:
        body = self._wire.body("", secrets.token_hex(4)) | {
            "model": await self._name(policy),
            "max_tokens": ask.limit,
            "temperature": ask.temperature,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        if self._wire.chat:
            said = self._wire.tokenizer.decode(list(ask.ids))
            return {**body, "messages": [{"role": "user", "content": said}]}
        return {**body, "prompt": list(ask.ids)}

    def _said(self, ask: Ask, gathered: Gathered) -> Said:
        """The answer, as exact as what came allows."""
        exact = not self._wire.chat and bool(gathered.ids) and gathered.counted in (None, len(gathered.ids))
        wire = self._wire if exact else replace(self._wire, offer=TEXT)
        try:
            completion = wire.completion(list(ask.ids), gathered.reply())
        except Unusable as error:
            raise ServerError(f"{self._endpoint.address}: {error}") from None
        return Said(completion, self._config.sampling.sampler + ("" if exact else RETOKENISED))

    async def _name(self, policy: Policy) -> str:
        """What the server calls the policy, which is loaded if it has to be."""
        if policy.id not in self._names:
            name = f"gen{policy.generation}-{policy.id[:8]}"
            place = {"lora_name": name, "lora_path": str(Path(str(policy.weights)).resolve())}
            try:
                await self._client.post("/load_lora_adapter", place, lambda _: None)
            except Refused as refused:
                if "already" not in str(refused):
                    raise
            self._names[policy.id] = name
        return self._names[policy.id]


def _piece(pieces: Pieces, gathered: Gathered, held: str) -> str:
    """What is new. The text of ids is made here, as that of the server may have marks in it that are not text."""
    return pieces.more(gathered.ids) if gathered.ids else held


async def _chunks(response: "httpx.Response") -> AsyncIterator[Mapping[str, Any]]:
    async for line in response.aiter_lines():
        if line.startswith("data:") and (data := line.removeprefix("data:").strip()) != "[DONE]":
            yield json.loads(data)
