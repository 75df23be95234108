"""One question from its arrival to its stored trace.

An answer is under way in a task of its own, so a client that hangs up and asks again under the same Idempotency-Key
gets the answer that it began with. Nobody's answer is whole before its trace, with its verdict, is on the disk.
"""

import asyncio
import logging
import sqlite3
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace

from iterdeploy.gateway.callers import Caller
from iterdeploy.gateway.deployed import Deployed, stick_to
from iterdeploy.gateway.engine import Ask, Engine, Said
from iterdeploy.gateway.question import Head, Question
from iterdeploy.gateway.refusal import Refusal
from iterdeploy.gateway.tasks import judged
from iterdeploy.gateway.writer import Writer
from iterdeploy.record.traffic import Origin, Traffic, new_id, now
from iterdeploy.sections import UserError
from iterdeploy.tasks.judging import Judges, verdicts
from iterdeploy.types import Completion, Policy, Sampling, Task, Trace, Verdict, content_hash

LOG = logging.getLogger(__name__)


@dataclass(eq=False)
class Answer:
    """An answer that is written, or was."""

    head: Head
    policy_id: str
    generation: int
    prompt_tokens: int
    asked: str
    """Hash of what was asked."""
    _pieces: "asyncio.Queue[str | None]" = field(default_factory=asyncio.Queue)
    work: "asyncio.Future[Completion]" = field(default_factory=asyncio.Future)
    """Done when the trace is stored."""

    async def pieces(self) -> AsyncIterator[str]:
        """The text of the answer as it is written; all of it is there before the trace is stored."""
        while (piece := await self._pieces.get()) is not None:
            yield piece

    def say(self, piece: str | None) -> None:
        self._pieces.put_nowait(piece)

    def again(self) -> "Answer":
        """The same answer for whoever asks once more, in one piece when it is there."""
        answer = Answer(self.head, self.policy_id, self.generation, self.prompt_tokens, self.asked, work=self.work)
        answer.say(None)
        return answer


class Answering:
    def __init__(self, deployed: Deployed, engine: Engine, writer: Writer, judges: Judges) -> None:
        self._deployed = deployed
        self._engine = engine
        self._writer = writer
        self._judges = judges
        self._under_way: set[asyncio.Future[Completion]] = set()
        self._retries: dict[str, Answer] = {}

    async def begin(self, question: Question, caller: Caller, session: str, retry: str | None) -> Answer:
        """The answer to a question, which may be one that was begun before. Refusal if there can be none."""
        asked = content_hash(question.model, question.prompt, question.limit, question.temperature)
        if retry is not None and (earlier := self._earlier(retry, asked)):
            return earlier
        if len(self._under_way) >= self._deployed.terms.waiting:
            raise Refusal(429, "overloaded", "too many answers are under way", {"Retry-After": "1"})
        trace_id = new_id()
        generation = self._deployed.choose(question.model, stick_to(session, caller.key.name, trace_id))
        policy = self._deployed.policy(generation)
        ids = self._deployed.ids(question)
        sampling = self._deployed.config.sampling
        temperature = sampling.temperature if question.temperature is None else question.temperature
        ask = Ask(ids, self._deployed.limit(question.limit, len(ids)), temperature, question.stream)
        head = Head(trace_id, int(time.time()), f"{self._deployed.name}@g{generation}")
        origin = Origin(
            trace_id=trace_id,
            user=caller.user,
            key=caller.key.name,
            session=session,
            at=now(),
            train=caller.train,
            keep_until=caller.keep_until,
            delivered=False,
            retry=retry,
            asked=asked,
        )
        answer = Answer(head, policy.id, generation, len(ids), asked)
        answer.work = asyncio.ensure_future(self._write(answer, ask, policy, question.text, origin))
        self._under_way.add(answer.work)
        answer.work.add_done_callback(self._under_way.discard)
        if retry is not None:
            self._retries[retry] = answer
            answer.work.add_done_callback(lambda _: self._retries.pop(retry, None))
        return answer

    def delivered(self, answer: Answer) -> None:
        """The whole answer was sent, and somebody was there to take it."""
        self._writer.later(lambda traffic: traffic.deliver(answer.head.trace_id))

    def abandon(self, answer: Answer) -> None:
        """Whoever asked is gone; an answer that nobody can ask for again ends."""
        if not any(answer.work is kept.work for kept in self._retries.values()):
            answer.work.cancel()

    async def stop(self) -> None:
        """Waits for the answers that are under way."""
        await asyncio.gather(*self._under_way, return_exceptions=True)

    async def _write(self, answer: Answer, ask: Ask, policy: Policy, prompt: str, origin: Origin) -> Completion:
        try:
            whole = None
            async for said in self._engine.answer(policy, ask):
                if isinstance(said, Said):
                    whole = said
                elif said:
                    answer.say(said)
            if whole is None:
                raise Refusal(502, "no_answer", "the model gave no answer")
            kept = self._deployed.redacting.keep(prompt, whole, self._deployed.tokenizer)
            task, completion = self._deployed.prompts.task(kept.prompt, policy.generation), kept.said.completion
            verdict = await asyncio.to_thread(self._verdict, task, completion)
            trace = Trace.make(
                task,
                generation=policy.generation,
                sample_index=0,
                policy_id=policy.id,
                sampling=Sampling(ask.temperature, ask.limit, self._deployed.config.model.dtype),
                completions=[completion],
                verdict=verdict,
                source=kept.said.source,
            )
            await self._writer.do(lambda traffic: store(traffic, task, replace(trace, id=origin.trace_id), origin))
            return whole.completion
        except (UserError, sqlite3.Error, OSError) as error:
            LOG.error("an answer could not be given: %s", error)
            raise unavailable(error) from error
        finally:
            answer.say(None)

    def _verdict(self, task: Task, completion: Completion) -> Verdict:
        if not judged(task):
            return Verdict.truncated() if completion.finish_reason == "length" else Verdict.unjudged()
        return verdicts(self._judges, [(task, [completion])])[0]

    def _earlier(self, retry: str, asked: str) -> Answer | None:
        """The answer that was begun, or stored, under the same key."""
        answer = self._retries.get(retry) or self._stored(retry)
        if answer is not None and answer.asked != asked:
            raise Refusal(422, "idempotency_key_reused", "this Idempotency-Key was used for another question")
        return answer and answer.again()

    def _stored(self, retry: str) -> Answer | None:
        origin = self._deployed.traffic.of_retry(retry)
        if origin is None:
            return None
        (trace,) = self._deployed.store.each([origin.trace_id])
        (said,) = trace.completions
        head = Head(trace.id, int(time.time()), f"{self._deployed.name}@g{trace.generation}")
        answer = Answer(head, trace.policy_id, trace.generation, len(said.prompt_token_ids), origin.asked)
        answer.work.set_result(said)
        return answer


def store(traffic: Traffic, task: Task, trace: Trace, origin: Origin) -> None:
    """Writes a trace with where it comes from, under the next sample index of its task."""
    index = traffic.next_sample(task.id, trace.generation)
    traffic.store.add({task.id: task}, [replace(trace, sample_index=index)], {})
    traffic.add(origin)


def unavailable(error: Exception) -> Refusal:
    """What a failure of the disk or of a server is to a client; the words for the operator stay here."""
    return Refusal(503, "unavailable", "the answer could not be stored, or the model is away; try again", {
        "Retry-After": "5"
    })  # fmt: skip
