"""What a policy thinks of given answers: the log-probability of each of their tokens, without gradients.

B: rows of a batch. T: tokens of its longest row. K: positions whose logits are needed. V: vocabulary.
"""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from iterdeploy.models.loading import Loaded

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

Row = tuple[Sequence[int], Sequence[int]]
"""(ids of the prompt, of which there is at least one; ids of the completion)."""


def token_logprobs(
    here: Loaded, rows: Sequence[Row], tokens_per_batch: int, temperature: float = 1.0
) -> "list[npt.NDArray[np.float64]]":
    """log p of each completion token in nats, one array per row, in the order of `rows`.

    Products are in the model's own precision, the softmax in float32 at least. Rows of like length are scored
    together, at most `tokens_per_batch` padded tokens at once; a longer row is scored alone.
    """
    import numpy as np
    import torch

    found: list[npt.NDArray[np.float64]] = [np.zeros(0)] * len(rows)
    with torch.no_grad():
        for batch in _batches(rows, tokens_per_batch):
            scored = _score(here, [rows[i] for i in batch], temperature)
            for index, values in zip(batch, scored, strict=True):
                found[index] = np.asarray(values)
    return found


def sequence_logprobs(
    here: Loaded, rows: Sequence[Row], tokens_per_batch: int, temperature: float = 1.0
) -> "npt.NDArray[np.float64]":
    """log p of each whole completion in nats, (rows,)."""
    import numpy as np

    return np.array([math.fsum(row) for row in token_logprobs(here, rows, tokens_per_batch, temperature)])


def _batches(rows: Sequence[Row], tokens: int) -> list[list[int]]:
    """Indices of rows, by ascending length, in batches of at most `tokens` padded tokens."""
    lengths = [len(prompt) + len(completion) for prompt, completion in rows]
    batches: list[list[int]] = []
    for index in sorted(range(len(rows)), key=lambda i: lengths[i]):
        if not batches or lengths[index] * (len(batches[-1]) + 1) > tokens:
            batches.append([])
        batches[-1].append(index)
    return batches


def _score(here: Loaded, rows: Sequence[Row], temperature: float) -> list[list[float]]:
    import torch
    import torch.nn.functional as F

    longest = max(len(prompt) + len(completion) for prompt, completion in rows)
    first = min(len(prompt) for prompt, _ in rows) - 1  # logits at t are of token t + 1
    ids = torch.full((len(rows), longest), here.pad_id)
    attention = torch.zeros((len(rows), longest), dtype=torch.int64)
    for i, (prompt, completion) in enumerate(rows):
        ids[i, : len(prompt) + len(completion)] = torch.tensor([*prompt, *completion])
        attention[i, : len(prompt) + len(completion)] = 1
    ids = ids.to(here.device)  # (B, T)
    model: Any = here.model
    logits = model(
        input_ids=ids, attention_mask=attention.to(here.device), use_cache=False, logits_to_keep=longest - first
    ).logits  # (B, K, V)
    exact = logits.to(torch.promote_types(logits.dtype, torch.float32)) / temperature
    losses = F.cross_entropy(exact[:, :-1].transpose(1, 2), ids[:, first + 1 :], reduction="none")  # (B, K - 1)
    out = []
    for values, (prompt, completion) in zip((-losses).tolist(), rows, strict=True):
        start = len(prompt) - 1 - first
        out.append(values[start : start + len(completion)])
    return out
