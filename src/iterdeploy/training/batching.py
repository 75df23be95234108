"""Rows of token ids in batches: which rows an optimiser step has, and how they lie in memory.

B: rows of a batch. T: tokens of its longest row. Rows are padded on the right; positions are masked by length, never by
the padding token's id (a tokenizer may pad with its end-of-sequence token).
"""

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from iterdeploy.config import TrainingConfig
from iterdeploy.types import Example

if TYPE_CHECKING:
    import numpy as np
    import torch


@dataclass(frozen=True)
class Batch:
    ids: "torch.Tensor"  # (B, T) int64
    attention: "torch.Tensor"  # (B, T) int64, 1 where a token is
    loss_mask: "torch.Tensor"  # (B, T) float32, 1 where a token carries loss
    weights: "torch.Tensor"  # (B,) float32
    behaviour: "torch.Tensor"  # (B,) float32, log p of the row's tokens with loss when they were sampled; NaN: unknown

    def to(self, device: str) -> "Batch":
        return Batch(*(getattr(self, field.name).to(device) for field in fields(self)))


def plan(lengths: Sequence[int], config: TrainingConfig, seed: int) -> list[list[list[int]]]:
    """The indices of each optimiser step's rows, by epoch: `epochs` passes over the rows of these lengths, or as many
    as `steps` need, the last one cut short."""
    import numpy as np

    epochs: list[list[list[int]]] = []
    most = config.steps or sys.maxsize
    while (done := sum(map(len, epochs))) < most and (config.steps or len(epochs) < config.epochs):
        rng = np.random.default_rng([seed, len(epochs)])
        if config.rows_per_batch:
            batches = in_rows(len(lengths), config.rows_per_batch, rng)
        else:
            batches = length_buckets(lengths, config.tokens_per_batch, rng)
        epochs.append(batches[: most - done])
    return epochs


def in_rows(count: int, rows: int, rng: "np.random.Generator") -> list[list[int]]:
    """Indices in random order in batches of `rows`, the last one with what is left."""
    order = rng.permutation(count).tolist()
    return [order[i : i + rows] for i in range(0, count, rows)]


def length_buckets(lengths: Sequence[int], tokens: int, rng: "np.random.Generator") -> list[list[int]]:
    """Indices in batches of at most `tokens` padded tokens, rows of like length together, batches in random order.

    A row that alone is longer than `tokens` is a batch of its own: nothing is ever cut or dropped.
    """
    import numpy as np

    order = np.lexsort((rng.random(len(lengths)), np.asarray(lengths)))
    batches: list[list[int]] = []
    for index in order:
        # Lengths ascend, so this row would be the longest of the batch.
        if not batches or lengths[index] * (len(batches[-1]) + 1) > tokens:
            batches.append([])
        batches[-1].append(int(index))
    rng.shuffle(batches)
    return batches


def length_buckets_in_order(rows: Sequence[Example], tokens: int) -> list[list[Example]]:
    """The rows by length in batches of at most `tokens` padded tokens."""
    batches: list[list[Example]] = []
    for row in sorted(rows, key=lambda row: len(row.token_ids)):
        if not batches or len(row.token_ids) * (len(batches[-1]) + 1) > tokens:
            batches.append([])
        batches[-1].append(row)
    return batches


def collate(rows: Sequence[Example], pad_id: int) -> Batch:
    import torch

    longest = max(len(row.token_ids) for row in rows)
    ids = torch.full((len(rows), longest), pad_id, dtype=torch.int64)
    attention = torch.zeros((len(rows), longest), dtype=torch.int64)
    loss_mask = torch.zeros((len(rows), longest))
    for i, row in enumerate(rows):
        length = len(row.token_ids)
        ids[i, :length] = torch.as_tensor(row.token_ids, dtype=torch.int64)
        attention[i, :length] = 1
        for start, end in row.spans:
            loss_mask[i, start:end] = 1
    behaviour = [math.nan if row.behaviour_logprob is None else row.behaviour_logprob for row in rows]
    return Batch(ids, attention, loss_mask, torch.tensor([row.weight for row in rows]), torch.tensor(behaviour))
