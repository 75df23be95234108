"""Pure loss functions. SFT, REINFORCE and importance weighting differ only in the rows' weights.

| objective | weight of trace i in the loss | source |
|---|---|---|
| `sft` | 1 | arXiv 2512.24940 |
| `reinforce` | R_i - b_i, reward less baseline | Williams, 1992 |
| `iw_sft` | rho_i | Qin and Springenberg, arXiv 2507.12856 |
| `iw_reinforce` | (R_i - b_i) rho_i | |

with rho_i = pi(y_i | x_i) / beta_i(y_i | x_i), the whole answer's probability under the policy in training by that
under the policy that sampled it, clipped or self-normalised and without a gradient of its own.

B: rows. T: tokens. V: vocabulary. N: traces of a pool.
"""

from typing import TYPE_CHECKING

from iterdeploy.models.output_layer import next_token_logprobs

if TYPE_CHECKING:
    import torch


def token_logprobs(logits: "torch.Tensor", ids: "torch.Tensor") -> "torch.Tensor":
    """log p(token t | tokens before t), (B, T) in nats; the first column, which nothing predicts, is 0.

    logits: (B, T, V) of any precision. ids: (B, T).
    """
    import torch

    logprobs = next_token_logprobs(logits[:, :-1].transpose(1, 2), ids[:, 1:])  # (B, T - 1)
    return torch.cat([logprobs.new_zeros(len(logprobs), 1), logprobs], dim=1)


def weighted_nll(
    logprobs: "torch.Tensor", loss_mask: "torch.Tensor", weights: "torch.Tensor", normaliser: float
) -> "torch.Tensor":
    """-sum_i w_i sum_t m_it log p_it / normaliser, a scalar.

    The sum over tokens, not a mean per sequence: for weights of 1 on valid on-policy traces its gradient is then
    REINFORCE's with a binary reward, up to a constant (Proposition 1 of arXiv 2512.24940). logprobs, loss_mask: (B, T);
    weights: (B,). The normaliser is a constant of the batch, so that splitting a batch into parts changes nothing.
    """
    return -(weights[:, None] * loss_mask * logprobs).sum() / normaliser


def importance_ratios(logprobs: "torch.Tensor", loss_mask: "torch.Tensor", behaviour: "torch.Tensor") -> "torch.Tensor":
    """rho, (B,), without gradient: exp(sum_t m_it log p_it - log beta_i).

    logprobs, loss_mask: (B, T); behaviour: (B,), in nats. Beyond exp(30) or exp(-80) a ratio says nothing more and is
    cut there, which also keeps it from becoming 0 or infinite.
    """
    return ((loss_mask * logprobs).sum(1) - behaviour).detach().clamp(-80.0, 30.0).exp()


def effective_sample_size(ratios: "torch.Tensor") -> float:
    """(sum rho)^2 / sum rho^2 of ratios (N,): from 1, where one trace has all the weight, to N (Kong, 1992)."""
    return float(ratios.sum() ** 2 / ratios.square().sum().clamp(min=1e-300))
