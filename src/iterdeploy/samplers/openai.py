"""Sampling from running servers of the OpenAI protocol, such as vLLM's: as many requests at once as it can take.

Prompts are sent as token ids, and everything that shapes the distribution is said in each request, because servers have
defaults of their own. Of a server that returns the sampled ids nothing is re-tokenised. One that does not is accepted
with a warning: its traces are marked, and they carry no log-probabilities, because those would be of other tokens.

Requests go through an event loop in a thread of its own (`anyio`'s portal), so they go on while answers are judged and
stored. Where a request goes is the fleet's to decide.
"""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import TYPE_CHECKING, Self

from iterdeploy.config import RunConfig
from iterdeploy.samplers.endpoint import Endpoint, check_served, configured
from iterdeploy.samplers.fleet import Fleet
from iterdeploy.samplers.protocol import BatchAnswers, Failed, PromptBatch, TokenPair
from iterdeploy.types import Completion, Policy, Prompt, content_hash

if TYPE_CHECKING:
    from anyio.streams.memory import MemoryObjectSendStream

FINISHED = 8
"""Batches that may wait to be judged before no further one is finished."""


class OpenAiSampler:
    served = True
    check = staticmethod(check_served)

    def __init__(self, policy: Policy, config: RunConfig, endpoint: Endpoint | None = None) -> None:
        self._policy = policy
        self._config = config
        self._endpoints = [endpoint] if endpoint else configured(config)
        self._chat = endpoint is None and config.server.api == "chat"

    @property
    def source(self) -> str:
        return self._config.sampling.sampler + ("" if self._fleet.offer.exact else " (re-tokenised)")

    def __enter__(self) -> Self:
        from anyio.from_thread import start_blocking_portal

        with ExitStack() as stack:
            self._portal = stack.enter_context(start_blocking_portal())
            fleet = self._portal.call(Fleet, self._endpoints, self._policy, self._config, self._chat)
            self._fleet = stack.enter_context(self._portal.wrap_async_context_manager(fleet))
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
        return self._portal.call(self._fleet.scores, rows)

    async def _answer_all(self, asked: Sequence[PromptBatch], finished: "MemoryObjectSendStream[BatchAnswers]") -> None:
        """As many workers as requests may be under way take one prompt after another."""
        prompts = ((index, i) for index, batch in enumerate(asked) for i in range(len(batch.prompts)))
        begun: dict[int, dict[int, Completion | Failed]] = {}

        async def worker() -> None:
            for index, i in prompts:
                batch, answers = asked[index], begun.setdefault(index, {})
                answers[i] = await self._fleet.answer(batch.prompts[i], content_hash(batch.seed, i))
                if len(answers) == len(batch.prompts):
                    del begun[index]
                    await finished.send(BatchAnswers(index, [answers[k] for k in range(len(answers))]))

        most = self._config.server.concurrency * len(self._endpoints)
        workers = [asyncio.create_task(worker()) for _ in range(most)]
        with finished:
            try:
                await asyncio.gather(*workers)
            finally:
                for task in workers:
                    task.cancel()
