"""Traces that are sampled from the policy, by the configured sampler, and judged as they come.

A batch's seed depends on what it asks for, not on when, so a resumed run draws the same answers.
"""

from collections.abc import Iterator, Sequence

from iterdeploy.deployment import Batch, Request
from iterdeploy.deployment.served_policy import verified
from iterdeploy.samplers import Failed, PromptBatch
from iterdeploy.steps.clock import Activity
from iterdeploy.steps.run import Run
from iterdeploy.tasks.judging import Judges
from iterdeploy.types import Completion, Policy, Sampling, Trace, Verdict, content_hash


class Sampled:
    """The deployment of a laboratory: every request is answered by the policy, here and now."""

    def __init__(self, run: Run) -> None:
        self._run = run

    def traces(self, policy: Policy, owed: Sequence[Sequence[Request]]) -> Iterator[Batch]:
        run = self._run
        asked = [
            PromptBatch([request.task.prompt for request in batch], self._seed(policy.generation, batch))
            for batch in owed
        ]
        with (
            run.clock.activity(Activity.SAMPLING),
            verified(policy, run.sampler(policy), asked[0].prompts, run) as sampler,
            run.tasks.judges() as judges,
        ):
            for answered in sampler.answers(asked):
                requests = owed[answered.index]
                with run.clock.activity(Activity.VALIDATION):
                    judged = list(_judged(requests, answered.completions, judges))
                yield Batch(
                    requests,
                    [
                        self._trace(request, policy, completion, verdict, sampler.source)
                        for request, (completion, verdict) in zip(requests, judged, strict=True)
                    ],
                )

    def _seed(self, generation: int, batch: Sequence[Request]) -> int:
        keys = [(request.task.id, request.sample_index) for request in batch]
        return int(content_hash(self._run.config.seed, generation, keys)[:15], 16)

    def _trace(self, request: Request, policy: Policy, completion: Completion, verdict: Verdict, source: str) -> Trace:
        config = self._run.config
        return Trace.make(
            request.task,
            generation=policy.generation,
            sample_index=request.sample_index,
            policy_id=policy.id,
            sampling=Sampling(config.sampling.temperature, config.sampling.max_new_tokens, config.model.dtype),
            completions=[completion],
            verdict=verdict,
            source=source,
        )


def _judged(
    requests: Sequence[Request], answers: Sequence[Completion | Failed], judges: Judges
) -> Iterator[tuple[Completion, Verdict]]:
    """What was said to each request, and what the judges say of it; nothing and ERROR where a server had no answer."""
    said = [
        (request.task, [answer])
        for request, answer in zip(requests, answers, strict=True)
        if isinstance(answer, Completion)
    ]
    verdicts = iter(judges.verdicts(said))
    for answer in answers:
        if isinstance(answer, Completion):
            yield answer, next(verdicts)
        else:
            nothing = Completion("", tuple(answer.prompt_token_ids), (), None, "error", 0)
            yield nothing, Verdict.error(answer.reason, validator="none")
