"""From hidden states to log-probabilities of tokens, in memory that does not grow with the vocabulary.

The logits of 32,768 tokens over a vocabulary of 150,000 words are 20 GB in float32. So where there are many, the output
layer is applied to a few hundred tokens at a time, only to those that are asked for, and again in the backward pass.

B: rows of a batch. T: tokens of its longest row. N: tokens asked for. H: hidden size. V: vocabulary.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

LOGITS_AT_ONCE = 2**24
"""Logits that are held at once, 64 MB of float32; batches with fewer go through the model in one piece."""


@dataclass(frozen=True)
class OutputLayer:
    """A model in two parts: what makes hidden states, and the layer that makes logits of them."""

    trunk: Any
    head: Any


def next_token_logprobs(logits: "torch.Tensor", targets: "torch.Tensor", temperature: float = 1.0) -> "torch.Tensor":
    """log p of each target in nats, of the targets' shape, in float32, or float64 where logits are.

    logits: (N, V) for targets (N,), or (B, V, N) for targets (B, N), of any precision.
    """
    import torch
    import torch.nn.functional as F

    exact = logits.to(torch.promote_types(logits.dtype, torch.float32))
    return -F.cross_entropy(exact if temperature == 1 else exact / temperature, targets, reduction="none")


def logprobs_in_pieces(
    parts: OutputLayer,
    ids: "torch.Tensor",
    attention: "torch.Tensor",
    wanted: "torch.Tensor",
    tokens_at_once: int,
    temperature: float = 1.0,
) -> "torch.Tensor":
    """log p(token t | tokens before t), (B, T) in nats, of the tokens that are wanted; 0 elsewhere.

    ids, attention: (B, T). wanted: (B, T) of bool; nothing predicts the first column.
    """
    import torch
    from torch.utils.checkpoint import checkpoint

    states = parts.trunk(input_ids=ids, attention_mask=attention, use_cache=False).last_hidden_state
    asked = wanted[:, 1:]  # (B, T - 1); what a state says is of the token after it
    chosen, targets = states[:, :-1][asked], ids[:, 1:][asked]  # (N, H), (N,)

    def some(states: "torch.Tensor", targets: "torch.Tensor") -> "torch.Tensor":
        return next_token_logprobs(parts.head(states), targets, temperature)

    found = torch.cat(
        [
            checkpoint(some, chosen[i : i + tokens_at_once], targets[i : i + tokens_at_once], use_reentrant=False)
            for i in range(0, max(1, len(targets)), tokens_at_once)
        ]
    )
    return torch.nn.functional.pad(found.new_zeros(asked.shape).masked_scatter(asked, found), (1, 0))


def in_two_parts(model: Any, device: str) -> OutputLayer | None:
    """The model, with or without an adapter, in two parts; None where its logits are not just the output layer on the
    last hidden states, because they are capped or scaled or come otherwise: on a few tokens they are compared bit for
    bit."""
    import torch

    inner = without_adapter(model)
    parts = OutputLayer(inner.base_model, inner.get_output_embeddings())
    if parts.head is None or parts.trunk is inner:
        return None
    training = model.training
    model.eval()
    ids = torch.arange(4, device=device)[None] % vocabulary(model)
    with torch.no_grad():
        expected = model(input_ids=ids, use_cache=False).logits
        states = getattr(parts.trunk(input_ids=ids, use_cache=False), "last_hidden_state", None)
        same = states is not None and torch.equal(parts.head(states), expected)
    model.train(training)
    return parts if same else None


def without_adapter(model: Any) -> Any:
    """The model itself; its layers hold the adapter's."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def vocabulary(model: Any) -> int:
    return int(without_adapter(model).config.get_text_config().vocab_size)
