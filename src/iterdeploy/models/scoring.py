"""What a policy thinks of given answers: the log-probability of each of their tokens, without gradients.

B: rows of a batch. T: tokens of its longest row. K: positions whose logits are needed. V: vocabulary.

Where there are many logits, they are made in pieces (see `output_layer.py`), as in training.
"""

import gc
import math
from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from iterdeploy.config import RunConfig
from iterdeploy.models.loading import Loaded, load
from iterdeploy.models.output_layer import (
    LOGITS_AT_ONCE,
    OutputLayer,
    in_two_parts,
    logprobs_in_pieces,
    next_token_logprobs,
    vocabulary,
)
from iterdeploy.types import Policy

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import torch

TokenPair = tuple[Sequence[int], Sequence[int]]
"""(ids of the prompt, of which there is at least one; ids of the completion)."""


def token_logprobs(
    here: Loaded, rows: Sequence[TokenPair], tokens_per_batch: int, temperature: float = 1.0
) -> "list[npt.NDArray[np.float64]]":
    """log p of each completion token in nats, one array per row, in the order of `rows`.

    Products are in the model's own precision, the softmax in float32 at least. Rows of like length are scored
    together, at most `tokens_per_batch` padded tokens at once; a longer row is scored alone.
    """
    import numpy as np
    import torch

    found: list[npt.NDArray[np.float64]] = [np.zeros(0)] * len(rows)
    parts = cache(lambda: in_two_parts(here.model, here.device))
    with torch.no_grad():
        for batch in _batches(rows, tokens_per_batch):
            scored = _score(here, [rows[i] for i in batch], temperature, parts)
            for index, values in zip(batch, scored, strict=True):
                found[index] = np.asarray(values)
    return found


def sequence_logprobs(
    here: Loaded, rows: Sequence[TokenPair], tokens_per_batch: int, temperature: float = 1.0
) -> "npt.NDArray[np.float64]":
    """log p of each whole completion in nats, (rows,)."""
    return summed(token_logprobs(here, rows, tokens_per_batch, temperature))


def policy_logprobs(
    policy: Policy, rows: Sequence[TokenPair], config: RunConfig, dtype: str | None = None, temperature: float = 1.0
) -> "list[npt.NDArray[np.float64]]":
    """`token_logprobs` under a policy, which is loaded for this alone and given back.

    `dtype`: precision of its products; None: that in which it samples. As many tokens at once as in training.
    """
    import torch

    here = load(policy, config.model, getattr(torch, dtype or config.model.dtype))
    tokens = config.training.tokens_per_pass or config.training.tokens_per_batch
    found = token_logprobs(here, rows, tokens, temperature)
    del here
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return found


def summed(logprobs: "Sequence[npt.NDArray[np.float64]]") -> "npt.NDArray[np.float64]":
    """log p of whole completions in nats, (rows,), from that of their tokens."""
    import numpy as np

    return np.array([math.fsum(row) for row in logprobs])


def _batches(rows: Sequence[TokenPair], tokens: int) -> list[list[int]]:
    """Indices of rows, by ascending length, in batches of at most `tokens` padded tokens."""
    lengths = [len(prompt) + len(completion) for prompt, completion in rows]
    batches: list[list[int]] = []
    for index in sorted(range(len(rows)), key=lambda i: lengths[i]):
        if not batches or lengths[index] * (len(batches[-1]) + 1) > tokens:
            batches.append([])
        batches[-1].append(index)
    return batches


def _score(
    here: Loaded, rows: Sequence[TokenPair], temperature: float, parts: Callable[[], OutputLayer | None]
) -> list[list[float]]:
    import torch

    longest = max(len(prompt) + len(completion) for prompt, completion in rows)
    ids = torch.full((len(rows), longest), here.pad_id)
    attention = torch.zeros((len(rows), longest), dtype=torch.int64)
    wanted = torch.zeros((len(rows), longest), dtype=torch.bool)
    for i, (prompt, completion) in enumerate(rows):
        length = len(prompt) + len(completion)
        ids[i, :length] = torch.tensor([*prompt, *completion])
        attention[i, :length] = 1
        wanted[i, len(prompt) : length] = True
    ids, attention, wanted = (one.to(here.device) for one in (ids, attention, wanted))  # (B, T) each
    most = max(1, LOGITS_AT_ONCE // vocabulary(here.model))
    if ids.numel() > most and (two := parts()) is not None:
        values = logprobs_in_pieces(two, ids, attention, wanted, most, temperature)  # (B, T)
    else:
        values = _in_one_piece(here, ids, attention, min(len(prompt) for prompt, _ in rows), temperature)
    return [
        row[len(prompt) : len(prompt) + len(completion)]
        for row, (prompt, completion) in zip(values.tolist(), rows, strict=True)
    ]


def _in_one_piece(
    here: Loaded, ids: "torch.Tensor", attention: "torch.Tensor", first: int, temperature: float
) -> "torch.Tensor":
    """log p of every token from the column `first`, which is 1 at least, on; 0 before it: (B, T)."""
    import torch

    model: Any = here.model
    kept = ids.shape[1] - first + 1  # logits at t are of token t + 1
    logits = model(input_ids=ids, attention_mask=attention, use_cache=False, logits_to_keep=kept).logits  # (B, K, V)
    values = next_token_logprobs(logits[:, :-1].transpose(1, 2), ids[:, first:], temperature)
    return torch.nn.functional.pad(values, (first, 0))
