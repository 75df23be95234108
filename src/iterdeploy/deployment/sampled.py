"""Traces that are sampled from the policy, by the configured sampler, and judged as they come.

A batch's seed depends on what it asks for, not on when, so a resumed run draws the same answers. Episodes in an
environment are stored when their batch is over: those of a batch that was interrupted are sampled again, turn by turn
with the same seeds, and come out the same where the device can.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path

from iterdeploy.deployment import Batch, Request
from iterdeploy.deployment.episodes import Fits, Flight
from iterdeploy.deployment.served_policy import verified
from iterdeploy.models.chat import load_tokenizer, prompt_ids
from iterdeploy.models.loading import context_length
from iterdeploy.samplers import Sampler
from iterdeploy.steps.clock import Activity
from iterdeploy.steps.run import Run
from iterdeploy.tasks.judging import Judges
from iterdeploy.types import Completion, Policy, Sampling, Trace, Verdict, content_hash

SERVED_AT_ONCE = 4
"""Batches of episodes that are under way on a server: while the last of one act, it has the others to work on."""


class Sampled:
    """The deployment of a laboratory: every request is answered by the policy, here and now."""

    def __init__(self, run: Run) -> None:
        self._run = run

    def traces(self, policy: Policy, owed: Sequence[Sequence[Request]]) -> Iterator[Batch]:
        run, prompts = self._run, [self._run.components.prompt(request.task) for request in owed[0]]
        with (
            run.clock.activity(Activity.SAMPLING),
            verified(policy, run.sampler(policy), prompts, run) as sampler,
            run.tasks.judges() as judges,
        ):
            flights = [Flight(batch, self._seed(policy.generation, batch), run.components.shown) for batch in owed]
            for flight in self._landed(flights, sampler, judges, _fits(policy, judges, run)):
                yield Batch(
                    [episode.request for episode in flight.episodes],
                    [
                        self._trace(request, policy, calls, verdict, sampler.source)
                        for request, calls, verdict in flight.ended()
                    ],
                )

    def _landed(self, flights: Sequence[Flight], sampler: Sampler, judges: Judges, fits: Fits) -> Iterator[Flight]:
        """The batches, each as soon as all of its episodes are over; those under way take their turns together."""
        at_once = len(flights) if judges.turns == 1 else SERVED_AT_ONCE if sampler.served else 1
        waiting, under_way = deque(flights), list[Flight]()
        while waiting or under_way:
            while waiting and len(under_way) < at_once:
                with self._run.clock.activity(Activity.VALIDATION):
                    waiting[0].begin(judges, fits)
                under_way.append(waiting.popleft())
            going = [flight for flight in under_way if flight.going]
            yield from (flight for flight in under_way if not flight.going)  # no environment could be set up
            under_way = []
            for answered in sampler.answers([flight.asked() for flight in going]):
                flight = going[answered.index]
                with self._run.clock.activity(Activity.VALIDATION):
                    flight.take(answered.completions, judges, fits)
                if flight.going:
                    under_way.append(flight)
                else:
                    yield flight

    def _seed(self, generation: int, batch: Sequence[Request]) -> int:
        keys = [(request.task.id, request.sample_index) for request in batch]
        return int(content_hash(self._run.config.seed, generation, keys)[:15], 16)

    def _trace(
        self, request: Request, policy: Policy, calls: Sequence[Completion], verdict: Verdict, source: str
    ) -> Trace:
        config = self._run.config
        return Trace.make(
            request.task,
            generation=policy.generation,
            sample_index=request.sample_index,
            policy_id=policy.id,
            sampling=Sampling(config.sampling.temperature, config.sampling.max_new_tokens, config.model.dtype),
            completions=calls,
            verdict=verdict,
            source=source,
        )


def _fits(policy: Policy, judges: Judges, run: Run) -> Fits:
    """Whether what is asked next leaves room for an answer, in the configured limit and in the model's context."""
    sampling, folder = run.config.sampling, Path(policy.base_model)
    limits = [limit for limit in (sampling.max_episode_tokens, context_length(folder)) if limit]
    if judges.turns == 1 or not limits:
        return lambda prompt: True
    tokenizer, most = load_tokenizer(folder, run.config.model), min(limits) - sampling.max_new_tokens
    return lambda prompt: len(prompt_ids(tokenizer, prompt, run.config.model)) <= most
