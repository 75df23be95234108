"""Importance weighting in the trainer: the ratios of a whole pool to the policies that sampled it, once per epoch."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from iterdeploy.config import TrainingConfig
from iterdeploy.training.forward import Forward
from iterdeploy.training.objective import effective_sample_size, importance_ratios
from iterdeploy.training.ranks import Ranks
from iterdeploy.types import Example

if TYPE_CHECKING:
    import torch

Correction = Callable[["torch.Tensor"], "torch.Tensor"]
"""From importance ratios to the factors that weights are multiplied with, (B,) both."""


def measure(
    forward: Forward, train: Sequence[Example], config: TrainingConfig, tokens_per_pass: int, ranks: Ranks
) -> dict[str, float]:
    """What the report says of the importance ratios of all traces at the weights of now."""
    import torch

    forward.model.eval()
    tokens = sum(example.loss_tokens for example in train)
    own: dict[tuple[str, int], float] = {}
    with torch.no_grad():
        for rows in ranks.passes(train, tokens_per_pass):
            batch = forward.batch(rows)
            found = importance_ratios(forward.logprobs(batch), batch.loss_mask, batch.behaviour)
            own.update(zip([(row.trace_id, row.part) for row in rows], found.tolist(), strict=True))
    everyone: dict[tuple[str, int], float] = {}  # a process without rows measures another's again
    for part in ranks.gather(own):
        everyone.update(part)
    ratios = torch.tensor(list(everyone.values()), dtype=torch.float64)
    return {
        "mean_ratio": float(ratios.mean()),
        "effective_sample_size": effective_sample_size(ratios),
        "clipped_share": float((ratios > config.importance_clip).double().mean()),
        "gap": float(ratios.log().abs().sum()) / tokens,
    }


def correction(config: TrainingConfig, measured: dict[str, float]) -> Correction:
    """How an epoch's ratios are tamed, given what was measured of all of them at its beginning."""
    if config.importance == "clipped":
        return lambda ratios: ratios.clamp(max=config.importance_clip)
    return lambda ratios: ratios / measured["mean_ratio"]
