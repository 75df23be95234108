"""Proposition 1: SFT on valid on-policy traces is REINFORCE; and what is left of it without one condition or another.

Each row is the gradient of one kind of fine-tuning, against REINFORCE with reward 1 for a valid answer and no baseline,
at the same weights: on the same traces where it can be, and against the expectation of a fresh on-policy sample.
On-policy means sampled as the run samples: at its temperature, whose share of solved tasks is the objective.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from iterdeploy.curation.policies import at_most, weigh
from iterdeploy.models.loading import load
from iterdeploy.models.scoring import policy_logprobs, sequence_logprobs, summed
from iterdeploy.theory.answers import REFERENCE, Answer, Subject
from iterdeploy.theory.gradients import (
    Differentiable,
    compare,
    cosine,
    differentiable,
    example,
    norm_ratio,
    sums,
)
from iterdeploy.theory.records import Condition, Conditions
from iterdeploy.training.batching import plan
from iterdeploy.types import Example

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import torch

    Array = npt.NDArray[np.float64]

COOL = 0.6
"""The temperature of the paper, for what sampling at another one than 1 does."""


def measure(subject: Subject) -> Conditions:
    """The rows, and the noise, for the policy of the subject's generation."""
    import numpy as np

    stored, fresh = subject.stored(subject.generation), subject.fresh(subject.current, REFERENCE)
    kinds = same_trace_kinds(subject, stored) | rounded_samplers(subject, stored)
    at = differentiable(subject, subject.current, exact=True)
    subject.say(f"gradients in {at.dtype} of {at.size:,} parameters at generation {subject.generation}")
    reference = expected(at, fresh, subject.temperature)
    found = dict(zip(kinds, sums(at, stored, list(kinds.values())), strict=True))
    same = subject.temperature == 1  # the trainer's gradients are then REINFORCE's
    share = reward(stored).sum() / len(stored)
    reinforce = found["token_sum"] * share if same else expected(at, stored, subject.temperature)
    rows = {
        kind: Condition(
            int(np.count_nonzero(kinds[kind])),
            compare(gradient, reference, halves=subject.two_halves and kind != "best_per_task"),
            cosine(gradient, reinforce),
            norm_ratio(gradient, reinforce),
        )
        for kind, gradient in found.items()
    }
    for kind, answers in older(subject).items():
        rows |= _other(kind, at, answers, reference, subject)
    if subject.temperature != COOL:
        rows |= _cooled(at, reference, subject)
    return Conditions(
        parameters=at.size,
        dtype=at.dtype,
        traces=len(stored),
        valid=int(reward(stored).sum()),
        temperature=subject.temperature,
        sampled_in=subject.config.model.dtype,
        replicate_cosine=cosine(reinforce, reference[0]),
        rows=rows,
    )


def _other(
    kind: str, at: Differentiable, answers: Sequence[Answer], reference: "torch.Tensor", subject: Subject
) -> dict[str, Condition]:
    """Fine-tuning on other traces; nothing where none of them is valid."""
    rewards = reward(answers)
    if not rewards.any():
        return {}
    subject.say(f"gradients of {int(rewards.sum())} valid answers: {kind.replace('_', ' ')}")
    (gradient,) = sums(at, answers, [rewards / rewards.sum()])
    halves = subject.two_halves or not answers[0].trace_id
    return {kind: Condition(int(rewards.sum()), compare(gradient, reference, halves=halves))}


def _cooled(at: Differentiable, reference: "torch.Tensor", subject: Subject) -> dict[str, Condition]:
    """Fine-tuning on traces sampled at `COOL`, against two objectives: what is solved at the run's temperature, and
    what is solved at `COOL`, which a run that samples so would improve."""
    fresh = subject.fresh(subject.current, 2 + REFERENCE, COOL)
    traces, others = ([answer for answer in fresh if (answer.index < 2) is first] for first in (True, False))
    rows = _other("temperature", at, traces, reference, subject)
    if rows:
        rows |= _other("own_temperature", at, traces, expected(at, others, COOL), subject)
    return rows


def reward(answers: Sequence[Answer]) -> "Array":
    import numpy as np

    return np.array([float(answer.valid) for answer in answers])


def expected(at: Differentiable, fresh: Sequence[Answer], temperature: float) -> "torch.Tensor":
    """The on-policy REINFORCE gradient of what is solved at `temperature`, (H, K, P), without a baseline.

    A baseline would leave the expectation as it is and add noise: a policy that is sure of itself writes an invalid
    answer only by an unlikely token, so the gradients of invalid answers are few and huge.
    """
    return sums(at, fresh, [reward(fresh) / len(fresh)], temperature)[0]


def same_trace_kinds(subject: Subject, stored: Sequence[Answer]) -> "dict[str, Array]":
    """Kind of fine-tuning -> what it makes each stored answer count."""
    import numpy as np

    valid = reward(stored)
    tokens = np.array([len(answer.tokens) for answer in stored], dtype=float)
    best = best_ids(subject)
    chosen = np.array([float(answer.trace_id in best) for answer in stored])
    per_batch = np.zeros(len(stored))
    where = [j for j, answer in enumerate(stored) if answer.valid]
    per_batch[where] = batch_coefficients(subject, [example(stored[j]) for j in where])
    return {
        "token_sum": valid / valid.sum(),
        "sequence_mean": valid / tokens / valid.sum(),
        "batch_mean": per_batch,
        "best_per_task": chosen / chosen.sum(),
    }


def best_ids(subject: Subject) -> set[str]:
    """The best valid trace of each task among those of the generation."""
    valid = [trace for trace in subject.traces if trace.valid and trace.generation == subject.generation]
    weighed = weigh(valid, subject.parts.tasks.order)
    return {best.trace.id for best in at_most(1, weighed)}


def batch_coefficients(subject: Subject, rows: Sequence[Example]) -> "Array":
    """What each row counts in the mean step of the trainer's first epoch: its weight by the step's tokens with loss."""
    import numpy as np

    steps = plan([len(row.token_ids) for row in rows], subject.config.training, subject.config.seed)[0]
    out = np.zeros(len(rows))
    for step in steps:
        tokens = sum(rows[i].loss_tokens for i in step)
        out[step] = [rows[i].weight / tokens / len(steps) for i in step]
    return out


def older(subject: Subject) -> dict[str, list[Answer]]:
    """Stored answers to the same tasks of the first generation, and of the one before."""
    names = {subject.generation - 1: "generation_before", 0: "first_generation"} if subject.generation else {}
    return {name: subject.stored(generation) for generation, name in names.items()}


def rounded_samplers(subject: Subject, stored: Sequence[Answer]) -> "dict[str, Array]":
    """What valid answers of samplers beta with rounded products (bfloat16) or weights (int8) would count.

    The stored answers, sampled by pi, are weighted by beta / pi: the same expectation as sampling anew, but the
    difference is so small that it would drown in the noise of new samples.
    """
    import numpy as np
    import torch

    rows = [(answer.prompt, answer.tokens) for answer in stored]
    config, valid = subject.config, reward(stored)
    subject.say("scoring the stored traces as samplers in bfloat16 and int8 would")
    exact, narrow = (summed(policy_logprobs(subject.current, rows, config, kind)) for kind in ("float32", "bfloat16"))
    coarse = load(subject.current, config.model, torch.float32)
    with torch.no_grad():
        for parameter in coarse.model.parameters():
            if parameter.ndim == 2:
                parameter.copy_(as_int8(parameter))
    rounded = {
        "bf16_sampling": narrow,
        "int8_sampling": sequence_logprobs(coarse, rows, config.training.tokens_per_batch),
    }
    return {name: valid * np.exp(scored - exact) / valid.sum() for name, scored in rounded.items()}


def as_int8(weights: "torch.Tensor") -> "torch.Tensor":
    """Each row rounded to 255 levels between minus and plus its largest absolute value."""
    step = weights.abs().amax(dim=1, keepdim=True).clamp(min=1e-12) / 127
    return (weights / step).round() * step
