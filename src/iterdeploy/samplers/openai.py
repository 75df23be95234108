"""Sampling from a running server of the OpenAI protocol, such as vLLM's: as many requests at once as it can take.

Prompts are sent as token ids, and everything that shapes the distribution is said in each request, because servers have
defaults of their own. Of a server that returns the sampled ids nothing is re-tokenised. One that does not is accepted
with a warning: its traces are marked, and they carry no log-probabilities, because those would be of other tokens.

Requests go through an event loop in a thread of its own (`anyio`'s portal), so they go on while answers are judged and
stored. A request that the server has no usable answer to is `Failed`, if the server answers another one; if it answers
none, the run ends.
"""

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from iterdeploy.config import RunConfig
from iterdeploy.samplers.client import Client
from iterdeploy.samplers.endpoint import Endpoint, check_served, configured
from iterdeploy.samplers.errors import ADVICE, NoAnswer, Refused, ServerError
from iterdeploy.samplers.protocol import BatchAnswers, Failed, PromptBatch, TokenPair
from iterdeploy.samplers.replies import Models, parsed
from iterdeploy.samplers.wire import PROBE, Wire
from iterdeploy.types import Completion, Policy, Prompt, content_hash

if TYPE_CHECKING:
    from anyio.streams.memory import MemoryObjectSendStream

log = logging.getLogger(__name__)

T = TypeVar("T")

SHORT_ANSWER = 8192
"""Tokens up to which server.timeout holds as it stands; longer answers may take longer, in proportion."""
FINISHED = 8
"""Batches that may wait to be judged before no further one is finished."""


class OpenAiSampler:
    served = True
    check = staticmethod(check_served)

    def __init__(self, policy: Policy, config: RunConfig, endpoint: Endpoint | None = None) -> None:
        self._policy = policy
        self._config = config
        self._endpoint = endpoint or configured(config)
        self._chat = endpoint is None and config.server.api == "chat"
        self._failures = 0

    @property
    def source(self) -> str:
        return self._config.sampling.sampler + ("" if self._wire.offer.exact else " (re-tokenised)")

    def __enter__(self) -> Self:
        from anyio.from_thread import start_blocking_portal

        server = self._config.server
        limit = server.timeout * max(1.0, self._config.sampling.max_new_tokens / SHORT_ANSWER)
        with ExitStack() as stack:
            self._portal = stack.enter_context(start_blocking_portal())
            client = Client(self._endpoint, limit, server.retries, server.concurrency)
            self._client = stack.enter_context(self._portal.wrap_async_context_manager(client))
            name = self._portal.call(self._model_name)
            self._wire = Wire.of(Path(self._policy.base_model), self._config, self._chat, name)
            self._portal.call(self._try_out)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, traceback)

    def sample(self, prompts: Sequence[Prompt], seed: int) -> list[Completion]:
        (answered,) = self.answers([PromptBatch(prompts, seed)])
        return answered.whole()

    def answers(self, asked: Sequence[PromptBatch]) -> Iterator[BatchAnswers]:
        """Batches as they become whole, in any order. The next ones are already under way while one is handled."""
        from anyio import EndOfStream, create_memory_object_stream

        send, receive = create_memory_object_stream[BatchAnswers](FINISHED)
        work = self._portal.start_task_soon(self._answer_all, asked, send)
        try:
            while True:
                try:
                    answered = self._portal.call(receive.receive)
                except EndOfStream:
                    break
                yield answered
            work.result()  # raises what ended it early
        finally:
            work.cancel()

    def logprobs(self, rows: Sequence[TokenPair]) -> list[list[float]] | None:
        """log p of each completion's tokens under the served model; None if the server does not tell."""
        if not self._wire.offer.scores:
            return None
        scored = [self._portal.call(self._score, *row) for row in rows]
        found = [values for values in scored if values is not None]
        if len(found) < len(scored):
            raise ServerError(
                f"{self._endpoint.address}: given text was scored when the server was tried, and now is not"
            )
        return found

    async def _answer_all(self, asked: Sequence[PromptBatch], finished: "MemoryObjectSendStream[BatchAnswers]") -> None:
        """As many workers as requests may be under way take one prompt after another."""
        prompts = ((index, i) for index, batch in enumerate(asked) for i in range(len(batch.prompts)))
        begun: dict[int, dict[int, Completion | Failed]] = {}

        async def worker() -> None:
            for index, i in prompts:
                batch, answers = asked[index], begun.setdefault(index, {})
                answers[i] = await self._answer(batch.prompts[i], content_hash(batch.seed, i))
                if len(answers) == len(batch.prompts):
                    del begun[index]
                    await finished.send(BatchAnswers(index, [answers[k] for k in range(len(answers))]))

        workers = [asyncio.create_task(worker()) for _ in range(self._config.server.concurrency)]
        with finished:
            try:
                await asyncio.gather(*workers)
            finally:
                for task in workers:
                    task.cancel()

    async def _answer(self, prompt: Prompt, seed: str) -> Completion | Failed:
        """Failed only if the server answers a short request at that time: then it is not the server that failed."""
        ids = self._wire.ids(prompt)
        try:
            return await self._ask(self._wire.body(prompt, seed), partial(self._wire.completion, ids))
        except NoAnswer as none:
            reason = none.reason
        except Refused as refused:
            if not refused.only_this_request:
                raise
            reason = refused.reason
        try:
            await self._ask(self._wire.probe(), self._wire.probed)
        except (NoAnswer, Refused):
            raise ServerError(f"{self._endpoint.address}: {reason}; a short request failed as well. {ADVICE}") from None
        if not self._failures:
            self._warn(f"an answer counts as an error, and so will all further ones like it: {reason}")
        self._failures += 1
        return Failed(ids, reason)

    async def _score(self, prompt: Sequence[int], tokens: Sequence[int]) -> list[float] | None:
        body = self._wire.scoring(prompt, tokens)
        return await self._ask(body, partial(self._wire.scores, prompt, tokens), len(prompt) + len(tokens))

    async def _ask(self, body: Mapping[str, Any], read: Callable[[bytes], T], echoed: int = 0) -> T:
        return await self._client.post(self._wire.route, body, read, body["max_tokens"] + echoed)

    async def _try_out(self) -> None:
        """One short answer shows what this server returns, before hours of sampling; warns of what it does not."""
        answer = await self._ask(self._wire.probe(), self._wire.probed)
        scores = None
        if self._wire.tells_ids(answer):
            with suppress(NoAnswer, Refused):
                scores = await self._score(self._wire.ids(PROBE), answer.choices[0].token_ids or ())
        self._wire, lacks = self._wire.tried(answer, scores)
        for lack in lacks:
            self._warn(lack)

    def _warn(self, words: str) -> None:
        log.warning("%s: %s", self._endpoint.address, words)

    async def _model_name(self) -> str:
        """The name under which the server has the policy."""
        if self._policy.adapter:
            return await self._load_adapter()
        if self._endpoint.model:
            return self._endpoint.model
        models = await self._client.get("/models", partial(parsed, Models))
        return models.data[0].id

    async def _load_adapter(self) -> str:
        """Loads this generation's adapter under a name that its content is part of."""
        name = f"gen{self._policy.generation}-{self._policy.id[:8]}"
        path = str(Path(str(self._policy.weights)).resolve())
        try:
            await self._client.post("/load_lora_adapter", {"lora_name": name, "lora_path": path}, lambda _: None)
        except Refused as refused:
            if "already" not in str(refused):
                raise ServerError(
                    f"{refused}. The adapter of generation {self._policy.generation} could not be loaded: the server "
                    "must allow it (vLLM: --enable-lora, --max-lora-rank, VLLM_ALLOW_RUNTIME_LORA_UPDATING=True) and "
                    f"must be able to read {path}"
                ) from None
        return name
