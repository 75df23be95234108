"""Pure loss functions. SFT, REINFORCE and importance weighting differ only in the rows' weights.

B: rows. T: tokens. V: vocabulary.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def token_logprobs(logits: "torch.Tensor", ids: "torch.Tensor") -> "torch.Tensor":
    """log p(token t | tokens before t), (B, T) float32 in nats; the first column, which nothing predicts, is 0.

    logits: (B, T, V) of any precision. ids: (B, T).
    """
    import torch
    import torch.nn.functional as F

    losses = F.cross_entropy(logits[:, :-1].float().transpose(1, 2), ids[:, 1:], reduction="none")  # (B, T - 1)
    return torch.cat([losses.new_zeros(len(losses), 1), -losses], dim=1)


def weighted_nll(
    logprobs: "torch.Tensor", loss_mask: "torch.Tensor", weights: "torch.Tensor", normaliser: float
) -> "torch.Tensor":
    """-sum_i w_i sum_t m_it log p_it / normaliser, a scalar.

    The sum over tokens, not a mean per sequence: for weights of 1 on valid on-policy traces its gradient is then
    REINFORCE's with a binary reward, up to a constant (Proposition 1 of arXiv 2512.24940). logprobs, loss_mask: (B, T);
    weights: (B,). The normaliser is a constant of the batch, so that splitting a batch into parts changes nothing.
    """
    return -(weights[:, None] * loss_mask * logprobs).sum() / normaliser
