"""From a batch to the log-probabilities of its tokens, in memory that does not grow with the vocabulary: where there
are many logits, they are made in pieces (see `models/output_layer.py`).

B: rows of a batch. T: tokens of its longest row.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from iterdeploy.models.loading import Loaded
from iterdeploy.models.output_layer import LOGITS_AT_ONCE, OutputLayer, in_two_parts, logprobs_in_pieces, vocabulary
from iterdeploy.training.batching import Batch, collate
from iterdeploy.training.objective import token_logprobs
from iterdeploy.types import Example

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Forward:
    model: Any
    """With or without an adapter, in training or evaluation mode."""
    here: Loaded
    bf16: bool
    module: Any = None
    """What `accelerate` made of this pass, where several processes train: passes go through it."""

    def batch(self, rows: Sequence[Example]) -> Batch:
        return collate(rows, self.here.pad_id).to(self.here.device)

    def logprobs(self, batch: Batch) -> "torch.Tensor":
        """log p of every token of the batch that carries loss, (B, T); of the others it may be 0."""
        import torch

        if self.module is not None:
            found: torch.Tensor = self.module(batch)
            return found
        with torch.autocast(self.here.device, dtype=torch.bfloat16, enabled=self.bf16):
            most = max(1, LOGITS_AT_ONCE // vocabulary(self.model))
            if batch.ids.numel() > most and self.output_layer is not None:
                return logprobs_in_pieces(self.output_layer, batch.ids, batch.attention, batch.loss_mask != 0, most)
            logits = self.model(input_ids=batch.ids, attention_mask=batch.attention, use_cache=False).logits
        return token_logprobs(logits, batch.ids)

    @cached_property
    def output_layer(self) -> OutputLayer | None:
        return in_two_parts(self.model, next(self.model.parameters()).device.type)
