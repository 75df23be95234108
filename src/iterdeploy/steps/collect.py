"""Samples and validates what a generation still owes. A key that is in the store is never sampled again.

Batches are cut from the whole list of requests, ordered by prompt length, before looking at what the store holds, and
each is written in one transaction as soon as it is whole. So a resumed run draws the same batches with the same seeds
as one that was never interrupted.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from iterdeploy.console.progress import Display
from iterdeploy.record.store import TraceStore, trace_id
from iterdeploy.samplers import Asked, Failed
from iterdeploy.steps.parts import Parts
from iterdeploy.steps.served_policy import shown_to_be
from iterdeploy.steps.stops import check_errors
from iterdeploy.types import Completion, Policy, Sampling, Status, Task, Trace, Verdict, content_hash


@dataclass(frozen=True, slots=True)
class Request:
    """One answer that is wanted."""

    task: Task
    sample_index: int


def ask(tasks: Sequence[Task], samples: int) -> list[Request]:
    return [Request(task, index) for task in tasks for index in range(samples)]


def collect(
    requests: Sequence[Request], policy: Policy, generation: int, parts: Parts, store: TraceStore, display: Display
) -> None:
    """Writes a trace for every request that has none. The model is loaded only if there is one."""
    done = store.keys(generation)
    owed = [
        still
        for batch in batches(requests, parts.config.sampling.batch_size)
        if (still := [one for one in batch if (one.task.id, generation, one.sample_index) not in done])
    ]
    if not owed:
        return
    clock, in_all, seed = parts.clock, len(requests), parts.config.seed
    reached = in_all - sum(map(len, owed))
    title = f"generation {generation}"
    asked = [Asked([one.task.prompt for one in batch], _seed(seed, generation, batch)) for batch in owed]
    with (
        clock.activity("sampling"),
        shown_to_be(policy, parts.sampler(policy), asked[0].prompts, parts, store) as sampler,
        display.bar(f"{title}: sampling", "answers") as sampled,
        display.bar(f"{title}: validation", "plans") as validated,
    ):
        sampled(reached, in_all)
        validated(reached, in_all)
        for answered in sampler.answers(asked):
            batch = owed[answered.index]
            reached += len(batch)
            sampled(reached, in_all)
            with clock.activity("validation"):
                judged = [
                    _judged(request, answer, parts) for request, answer in zip(batch, answered.completions, strict=True)
                ]
            validated(reached, in_all)
            errors = [verdict.reason for _, verdict in judged if verdict.status is Status.ERROR]
            check_errors(errors, in_all, store, generation, parts.config)
            with clock.activity("other"):
                traces = [
                    _trace(request, generation, policy, parts, sampler.source, completion, verdict)
                    for request, (completion, verdict) in zip(batch, judged, strict=True)
                ]
                store.add({request.task.id: request.task for request in batch}, traces, clock.take())


def batches(requests: Sequence[Request], size: int) -> list[list[Request]]:
    """The requests in batches of like prompt length."""
    ordered = sorted(requests, key=lambda one: (len(one.task.prompt), one.task.id, one.sample_index))
    return [ordered[i : i + size] for i in range(0, len(ordered), size)]


def _seed(run_seed: int, generation: int, batch: Sequence[Request]) -> int:
    """A seed that depends on what is asked, not on when."""
    keys = [(request.task.id, request.sample_index) for request in batch]
    return int(content_hash(run_seed, generation, keys)[:15], 16)


def _judged(request: Request, answer: Completion | Failed, parts: Parts) -> tuple[Completion, Verdict]:
    """What was said, and what the validator says of it; nothing and ERROR where the server had no answer."""
    if isinstance(answer, Failed):
        nothing = Completion("", tuple(answer.prompt_token_ids), (), None, "error", 0)
        return nothing, Verdict(Status.ERROR, answer.reason, None, (), None, False, "none")
    return answer, parts.tasks.judge(request.task, answer)


def _trace(
    request: Request,
    generation: int,
    policy: Policy,
    parts: Parts,
    source: str,
    completion: Completion,
    verdict: Verdict,
) -> Trace:
    config, task = parts.config, request.task
    return Trace(
        id=trace_id(task.id, generation, request.sample_index, policy.id, completion),
        task_id=task.id,
        domain=task.domain,
        size=task.size,
        split=task.split,
        generation=generation,
        sample_index=request.sample_index,
        policy_id=policy.id,
        sampling=Sampling(config.sampling.temperature, config.sampling.max_new_tokens, config.model.dtype),
        completion=completion,
        verdict=verdict,
        source=source,
    )
