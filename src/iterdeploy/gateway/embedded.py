"""A model in this process: one thread samples, for all who wait, a batch at a time.

Whoever asks while a batch is under way waits for its end; requests for the same generation are answered together.
"""

import asyncio
import secrets
import threading
from collections import OrderedDict
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from functools import partial
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from iterdeploy.config import RunConfig
from iterdeploy.gateway.engine import Ask, Said
from iterdeploy.gateway.pieces import Pieces
from iterdeploy.types import Policy

if TYPE_CHECKING:
    from iterdeploy.models.loading import Loaded
    from iterdeploy.samplers.transformers import Row

SOURCE = "transformers"


@dataclass(eq=False)
class Job:
    policy: Policy
    ask: Ask
    loop: asyncio.AbstractEventLoop
    said: "asyncio.Queue[str | Said | Exception]" = field(default_factory=asyncio.Queue)
    gone: bool = False
    """Nobody waits for it any more."""

    def tell(self, what: str | Said | Exception) -> None:
        self.loop.call_soon_threadsafe(self.said.put_nowait, what)


class Embedded:
    def __init__(self, config: RunConfig, models: int) -> None:
        """`models`: generations that are held in memory at once."""
        self._config = config
        self._models = models
        self._new: SimpleQueue[Job | None] = SimpleQueue()
        self._loaded: OrderedDict[str, Loaded] = OrderedDict()
        self._thread = threading.Thread(target=self._work, name="model", daemon=True)

    async def start(self) -> None:
        self._thread.start()

    async def stop(self) -> None:
        self._new.put(None)
        await asyncio.to_thread(self._thread.join)

    async def answer(self, policy: Policy, ask: Ask) -> AsyncIterator[str | Said]:
        job = Job(policy, ask, asyncio.get_running_loop())
        self._new.put(job)
        try:
            while not isinstance(said := await job.said.get(), Said):
                if isinstance(said, Exception):
                    raise said
                yield said
            yield said
        finally:
            job.gone = True

    def _work(self) -> None:
        waiting: list[Job] = []
        while True:
            try:
                while (job := self._new.get(block=not waiting)) is not None:
                    waiting.append(job)
            except Empty:
                pass
            else:
                return
            waiting = [job for job in waiting if not job.gone]
            if waiting:
                batch = [job for job in waiting if job.policy.id == waiting[0].policy.id]
                batch = batch[: self._config.sampling.batch_size]
                waiting = [job for job in waiting if job not in batch]
                self._answer(batch)

    def _answer(self, batch: list[Job]) -> None:
        import torch

        from iterdeploy.samplers.transformers import Row, decode, said
        from iterdeploy.samplers.truncation import narrowed

        try:
            here = self._model(batch[0].policy)
            rows = [Row(list(job.ask.ids), job.ask.limit, job.ask.temperature) for job in batch]
            jobs = {id(row): (job, Pieces(here.tokenizer)) for row, job in zip(rows, batch, strict=True)}

            def watch(running: "list[Row]") -> None:
                for row in running:
                    job, pieces = jobs[id(row)]
                    if job.gone:  # an answer that nobody waits for ends here
                        row.limit = len(row.tokens)
                    elif job.ask.stream and row.going and (piece := pieces.more(row.tokens)):
                        job.tell(piece)

            random = torch.Generator(here.device).manual_seed(secrets.randbits(62))
            decode(here, rows, random, watch, partial(narrowed, sampling=self._config.sampling))
            for row in rows:
                (job, pieces), completion = jobs[id(row)], said(here, row)
                if job.ask.stream and (piece := pieces.rest(completion.text)):
                    job.tell(piece)
                job.tell(Said(completion, SOURCE))
        except Exception as error:
            for job in batch:
                job.tell(error)

    def _model(self, policy: Policy) -> "Loaded":
        import torch

        from iterdeploy.models.loading import load

        if policy.id not in self._loaded:
            while len(self._loaded) >= self._models:
                self._loaded.popitem(last=False)
            self._loaded[policy.id] = load(policy, self._config.model, getattr(torch, self._config.model.dtype))
        self._loaded.move_to_end(policy.id)
        return self._loaded[policy.id]
