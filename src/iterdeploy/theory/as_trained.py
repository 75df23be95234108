"""What the run's fine-tuning really was: its own pool at the weights it began with, and after real optimiser steps."""

import tempfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from iterdeploy.metrics.diversity import ratio
from iterdeploy.models.scoring import policy_logprobs, sequence_logprobs, summed
from iterdeploy.theory.answers import REFERENCE, Answer, Subject
from iterdeploy.theory.gradients import Differentiable, compare, differentiable, sums
from iterdeploy.theory.proposition1 import batch_coefficients, expected, reward
from iterdeploy.theory.records import AsTrained, NeverTrained, PoolRow, StepRow
from iterdeploy.training.trainer import GradientTrainer, TrainingExamples, read_policy, split_validation
from iterdeploy.types import Example, Policy, Split, Status

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Array = npt.NDArray[np.float64]

STEPS = (1,)
"""After how many optimiser steps to look, besides the end of the run's own training."""


def measure(subject: Subject) -> AsTrained:
    start = subject.start
    return AsTrained(
        starts_from=start.generation,
        objective=subject.config.training.objective,
        pool=[pool_row(subject, policy) for policy in {one.id: one for one in (start, subject.current)}.values()],
        steps=list(step_rows(subject.first_half, start)),
        never_trained=never_trained(subject),
    )


def never_trained(subject: Subject) -> NeverTrained | None:
    """A control that every run has: validation keeps the tasks with the smallest hashes out, the same in every
    generation, so some deployed tasks with valid traces never train anything."""
    ids = {row.trace_id for one in subject.pools for row in subject.pooled(one)}
    pooled = {trace.id: trace.task_id for trace in subject.run_dir.store.light(ids)}
    trained = {pooled[name] for name in subject.trained_on}
    solved: dict[str, list[bool]] = defaultdict(list)
    known = set(pooled.values())
    for trace in subject.run_dir.store.traces(generation=subject.generation, split=Split.DEPLOYED):
        if trace.task_id in known and trace.verdict.status is not Status.ERROR:
            solved[trace.task_id].append(trace.valid)
    ours, others = (
        [(float(sum(answers)), len(answers)) for task_id, answers in solved.items() if (task_id in trained) is which]
        for which in (True, False)
    )
    return NeverTrained(len(ours), ratio(ours), len(others), ratio(others)) if ours and others else None


def pool(subject: Subject) -> list[Example]:
    """The examples that train, of the whole pool."""
    return subject.pooled(subject.generation)


def pool_row(subject: Subject, policy: Policy) -> PoolRow:
    """The mean step of the first epoch, on the tasks looked at, against REINFORCE at the same weights."""
    train, _ = split_validation(pool(subject), subject.config.training.validation_share)
    counts = dict(zip([row.trace_id for row in train], batch_coefficients(subject, train).tolist(), strict=True))
    answers = [answer for answer in subject.stored() if answer.trace_id in counts]
    coefficients = [counts[answer.trace_id] for answer in answers]
    fresh = subject.fresh(policy, REFERENCE)
    at = differentiable(subject, policy)
    subject.say(f"gradients of {len(answers)} traces of the pool at generation {policy.generation}")
    if subject.config.training.objective.startswith("iw_"):
        behaviour = {row.trace_id: row.behaviour_logprob for row in train}
        coefficients = list(coefficients * _tamed_ratios(subject, at, answers, behaviour))
    (gradient,) = sums(at, answers, [coefficients])
    reference = expected(at, fresh, subject.temperature)
    length = compare(reference, reference, halves=False).norm_ratio
    return PoolRow(
        generation=policy.generation,
        traces=len(answers),
        ceiling=ceiling(length, int(reward(fresh).sum()), len(answers)),
        against=compare(gradient, reference, halves=False),
    )


def ceiling(norm_ratio: float | None, valid: int, traces: int) -> float | None:
    """The cosine that `traces` valid on-policy traces would be expected to have with the expected gradient.

    `norm_ratio`: length of the mean of `valid` of them by that of the expectation; its square is 1 + s / valid, with
    the noise s of one trace. The inverse square of the cosine is 1 + s / traces.

    >>> round(ceiling(1.25, 100, 50), 6)
    0.685994
    """
    if norm_ratio is None or not traces:
        return None
    return float((1 + max(0.0, norm_ratio**2 - 1) * valid / traces) ** -0.5)


def _tamed_ratios(
    subject: Subject, at: Differentiable, answers: Sequence[Answer], behaviour: dict[str, float | None]
) -> "Array":
    """The trainer's importance ratios, clipped or divided by their mean."""
    import numpy as np

    now = sequence_logprobs(at.here, [(one.prompt, one.tokens) for one in answers], _tokens(subject))
    ratios: Array = np.exp(now - np.array([behaviour[answer.trace_id] for answer in answers], dtype=float))
    training = subject.config.training
    return ratios.clip(max=training.importance_clip) if training.importance == "clipped" else ratios / ratios.mean()


def trained(subject: Subject, start: Policy) -> Iterator[tuple[int | None, Policy]]:
    """(steps, policy) after a few optimiser steps of the run's trainer on the whole pool, and at the training's end."""
    config = subject.config
    examples = TrainingExamples(pool(subject), subject.phase.pool.digest)
    for steps in STEPS:
        subject.say(f"training {steps} optimiser step{'s' if steps > 1 else ''} on the pool")
        trainer = GradientTrainer(
            config.training.model_copy(update={"steps": steps, "processes": 1}), config.model, config.seed
        )
        with tempfile.TemporaryDirectory() as folder:
            trainer.fit(start, subject.generation + 1, examples, Path(folder), lambda done, total: None)
            yield steps, read_policy(Path(folder))
    if subject.has_trained:
        yield None, subject.policy(subject.generation + 1)


def step_rows(subject: Subject, start: Policy) -> Iterator[StepRow]:
    """SFT on the answers that were on-policy where training started, once it has moved on; plain and weighted."""
    import numpy as np

    stored = subject.stored(start.generation)
    rows, rewards = [(answer.prompt, answer.tokens) for answer in stored], reward(stored)
    if not rewards.any():
        return
    before = summed(policy_logprobs(start, rows, subject.config, "float32", subject.temperature))
    for steps, policy in trained(subject, start):
        fresh = subject.fresh(policy, REFERENCE)
        at = differentiable(subject, policy)
        now = sequence_logprobs(at.here, rows, _tokens(subject), subject.temperature)
        ratios = np.exp(now - before)
        subject.say(f"gradients {'at the end of training' if steps is None else f'after {steps} steps'}")
        plain, weighted = sums(at, stored, [rewards / rewards.sum(), rewards * ratios / len(stored)])
        reference = expected(at, fresh, subject.temperature)
        yield StepRow(
            steps=steps,
            traces=int(rewards.sum()),
            mean_ratio=float(ratios.mean()),
            plain=compare(plain, reference, halves=subject.two_halves),
            weighted=compare(weighted, reference, halves=subject.two_halves),
        )


def _tokens(subject: Subject) -> int:
    return subject.config.training.tokens_per_batch
