"""Proposition 1: SFT on valid on-policy traces is REINFORCE. Exactly, and then without one condition after the other.

Each row is the gradient of one kind of fine-tuning, against REINFORCE with reward 1 for a valid answer and no baseline,
at the same weights: on the same traces where it can be, and against the expectation of a fresh on-policy sample.
"""

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

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
    objective_gradient,
    sums,
)
from iterdeploy.training.batching import length_buckets_in_order, plan
from iterdeploy.types import Example

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import torch

    Array = npt.NDArray[np.float64]

BATCH_TOKENS = 2048
"""Padded tokens of a batch, in float64."""

IDENTITY_TRACES = 100
"""On so many traces the identity is shown to the last digit; more would show the same."""

COOL = 0.6
"""The temperature of the paper, for what sampling at another one than 1 does."""


def measure(subject: Subject) -> dict[str, Any]:
    """The rows, the exact identity, and the noise, for the policy of the subject's generation."""
    import numpy as np

    stored, fresh = subject.stored(subject.generation), subject.fresh(subject.current, REFERENCE)
    kinds = same_trace_kinds(subject, stored) | rounded_samplers(subject, stored)
    at = differentiable(subject, subject.current, exact=True)
    subject.say(f"gradients in {at.dtype} of {at.size:,} parameters at generation {subject.generation}")
    reference = expected(at, fresh)
    found = dict(zip(kinds, sums(at, stored, list(kinds.values())), strict=True))
    reinforce = found["token_sum"] * (reward(stored).sum() / len(stored))
    rows = {
        kind: {
            "traces": int(np.count_nonzero(kinds[kind])),
            "same_cosine": cosine(gradient, reinforce),
            "same_ratio": norm_ratio(gradient, reinforce),
            **asdict(compare(gradient, reference, halves=subject.two_halves and kind != "best_per_task")),
        }
        for kind, gradient in found.items()
    }
    others = older(subject)
    if subject.config.sampling.temperature != COOL:
        others["temperature"] = subject.fresh(subject.current, 2, COOL)
    for kind, answers in others.items():
        rewards = reward(answers)
        if rewards.any():
            subject.say(f"gradients of {int(rewards.sum())} valid answers: {kind.replace('_', ' ')}")
            (gradient,) = sums(at, answers, [rewards / rewards.sum()])
            halves = kind == "temperature" or subject.two_halves
            rows[kind] = {"traces": int(rewards.sum()), **asdict(compare(gradient, reference, halves=halves))}
    return {
        "parameters": at.size,
        "dtype": at.dtype,
        "traces": len(stored),
        "valid": int(reward(stored).sum()),
        "temperature": subject.config.sampling.temperature,
        "sampled_in": subject.config.model.dtype,
        "identity": identity(at, stored),
        "replicate_cosine": cosine(reinforce, reference[0]),
        "rows": rows,
    }


def reward(answers: Sequence[Answer]) -> "Array":
    import numpy as np

    return np.array([float(answer.valid) for answer in answers])


def expected(at: Differentiable, fresh: Sequence[Answer]) -> "torch.Tensor":
    """The on-policy REINFORCE gradient, (H, K, P), without a baseline.

    A baseline would leave the expectation as it is and add noise: a policy that is sure of itself writes an invalid
    answer only by an unlikely token, so the gradients of invalid answers are few and huge.
    """
    return sums(at, fresh, [reward(fresh) / len(fresh)])[0]


def identity(at: Differentiable, stored: Sequence[Answer]) -> dict[str, float]:
    """Proposition 1 to the last digit, by the trainer's own batches and loss.

    SFT: the valid traces alone, each counting 1, by their number. REINFORCE: all traces, each counting its reward, by
    their number. The two are cut into other batches, so that only the mathematics makes them equal.
    """
    first = next(j for j, answer in enumerate(stored) if answer.valid)
    some = stored[: max(first + 1, IDENTITY_TRACES)]
    sft = _in_batches(at, [example(answer) for answer in some if answer.valid])
    reinforce = _in_batches(at, [example(answer, float(answer.valid)) for answer in some])
    expected = len(some) / sum(answer.valid for answer in some)
    same, ratio = cosine(sft, reinforce), norm_ratio(sft, reinforce)
    assert same is not None and ratio is not None, "the gradient of a valid trace is not zero"
    return {
        "traces": len(some),
        "cosine": same,
        "norm_ratio": ratio,
        "expected_ratio": expected,
        "ratio_error": abs(ratio / expected - 1),
    }


def _in_batches(at: Differentiable, rows: Sequence[Example]) -> "torch.Tensor":
    """Gradient of the weighted log-likelihood by the number of rows, (P,)."""
    batches = length_buckets_in_order(rows, BATCH_TOKENS)
    total = objective_gradient(at, batches[0], float(len(rows)))
    for batch in batches[1:]:
        total += objective_gradient(at, batch, float(len(rows)))
    return total


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
