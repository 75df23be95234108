"""Sampling from the likeliest tokens alone: top-k (Fan et al. 2018) and top-p (nucleus; Holtzman et al. 2020)."""

from typing import TYPE_CHECKING

from iterdeploy.config_sampling import SamplingConfig

if TYPE_CHECKING:
    import torch


def narrowed(logits: "torch.Tensor", sampling: SamplingConfig) -> "torch.Tensor":
    """Logits (B, V) with -inf for the tokens that are not sampled from; the likeliest one always is.

    Top-k comes first, and top-p then counts the probability of what is left, as vLLM does.
    """
    if 0 < sampling.top_k < logits.shape[-1]:
        least = logits.topk(sampling.top_k).values[:, -1:]  # (B, 1)
        logits = logits.masked_fill(logits < least, float("-inf"))
    if sampling.top_p < 1:
        ordered, places = logits.sort(descending=True)
        before = ordered.softmax(-1).cumsum(-1) - ordered.softmax(-1)  # probability of what is likelier
        out = (before >= sampling.top_p).scatter(-1, places, before >= sampling.top_p)
        logits = logits.masked_fill(out, float("-inf"))
    return logits
