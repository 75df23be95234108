"""From a batch to the log-probabilities of its tokens, in memory that does not grow with the vocabulary.

The logits of 32,768 tokens over a vocabulary of 150,000 words are 20 GB in float32. So where there are many, the output
layer is applied to a few hundred tokens at a time, only to those that carry loss, and again in the backward pass.

B: rows of a batch. T: tokens of its longest row. N: tokens with loss. H: hidden size. V: vocabulary.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from iterdeploy.models.loading import Loaded
from iterdeploy.training.batching import Batch, collate
from iterdeploy.training.objective import next_token_logprobs, token_logprobs
from iterdeploy.types import Example

if TYPE_CHECKING:
    import torch

LOGITS_AT_ONCE = 2**24
"""Logits that are held at once, 64 MB of float32; batches with fewer go through the model in one piece."""


@dataclass(frozen=True)
class OutputLayer:
    """A model in two parts: what makes hidden states, and the layer that makes logits of them."""

    trunk: Any
    head: Any


@dataclass(frozen=True)
class Forward:
    model: Any
    """With or without an adapter, in training or evaluation mode."""
    here: Loaded
    bf16: bool

    def batch(self, rows: Sequence[Example]) -> Batch:
        return collate(rows, self.here.pad_id).to(self.here.device)

    def logprobs(self, batch: Batch) -> "torch.Tensor":
        """log p of every token of the batch that carries loss, (B, T); of the others it may be 0."""
        import torch

        with torch.autocast(self.here.device, dtype=torch.bfloat16, enabled=self.bf16):
            if batch.ids.numel() * self._vocabulary > LOGITS_AT_ONCE and self._parts is not None:
                return self._in_chunks(batch, self._parts)
            logits = self.model(input_ids=batch.ids, attention_mask=batch.attention, use_cache=False).logits
        return token_logprobs(logits, batch.ids)

    def _in_chunks(self, batch: Batch, parts: OutputLayer) -> "torch.Tensor":
        import torch
        from torch.utils.checkpoint import checkpoint

        states = parts.trunk(input_ids=batch.ids, attention_mask=batch.attention, use_cache=False).last_hidden_state
        carries = batch.loss_mask[:, 1:] != 0  # (B, T - 1); what a state says is of the token after it
        chosen, targets = states[:, :-1][carries], batch.ids[:, 1:][carries]  # (N, H), (N,)

        def some(states: "torch.Tensor", targets: "torch.Tensor") -> "torch.Tensor":
            return next_token_logprobs(parts.head(states), targets)

        size = max(1, LOGITS_AT_ONCE // self._vocabulary)
        found = torch.cat(
            [
                checkpoint(some, chosen[i : i + size], targets[i : i + size], use_reentrant=False)
                for i in range(0, max(1, len(targets)), size)
            ]
        )
        return torch.nn.functional.pad(found.new_zeros(carries.shape).masked_scatter(carries, found), (1, 0))

    @property
    def _inner(self) -> Any:
        """The model itself; its layers hold the adapter's."""
        return self.model.get_base_model() if hasattr(self.model, "get_base_model") else self.model

    @cached_property
    def _vocabulary(self) -> int:
        return int(self._inner.config.get_text_config().vocab_size)

    @cached_property
    def _parts(self) -> OutputLayer | None:
        """The model in two parts; None where its logits are not just the output layer on the last hidden states,
        because they are capped or scaled or come otherwise: on a few tokens they are compared bit for bit."""
        import torch

        inner = self._inner
        parts = OutputLayer(inner.base_model, inner.get_output_embeddings())
        if parts.head is None or parts.trunk is inner:
            return None
        training = self.model.training
        self.model.eval()
        ids = torch.arange(4, device=self.here.device)[None] % self._vocabulary
        with torch.no_grad():
            expected = self.model(input_ids=ids, use_cache=False).logits
            states = getattr(parts.trunk(input_ids=ids, use_cache=False), "last_hidden_state", None)
            same = states is not None and torch.equal(parts.head(states), expected)
        self.model.train(training)
        return parts if same else None
