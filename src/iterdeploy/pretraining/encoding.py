"""Demonstrations as token ids, made once by all cores and kept in the work folder."""

import multiprocessing
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from iterdeploy.pretraining.sources import Source
from iterdeploy.pretraining.tokenizer import build_tokenizer
from iterdeploy.sections import ConfigError
from iterdeploy.wording import say

if TYPE_CHECKING:
    import numpy as np

Rows = list[tuple[list[int], list[bool]]]
"""(Token ids with the end marks, whether each is the model's own) of each demonstration."""
CHUNK = 2000


def encode(source: Source, words: Sequence[str], seed: int, indices: range) -> Rows:
    """The demonstrations of these numbers, by the tokenizer that has the words."""
    tokenizer = build_tokenizer(words)
    rows: Rows = []
    for index in indices:
        demonstration = source.demonstration(seed, index)
        ids: list[int] = []
        own: list[bool] = []
        for read, said in ((demonstration.prompt, demonstration.answer), *demonstration.later):
            prompt = tokenizer(read)["input_ids"]
            answer = [*tokenizer(said)["input_ids"], tokenizer.eos_token_id]
            ids += [*prompt, *answer]
            own += [False] * len(prompt) + [True] * len(answer)
        rows.append((ids, own))
    return rows


def encoded(source: Source, seed: int, context: int, cache: Path) -> dict[str, "np.ndarray[Any, Any]"]:
    """ids: all token ids end to end, uint16; own: whether each is the model's; starts: (N + 1,) offsets into them.

    ConfigError if a demonstration has more than `context` tokens, or if those in `cache` were made of other files.
    """
    import numpy as np

    key = source.key + f" seed {seed}, own tokens"
    if cache.exists():
        stored = dict(np.load(cache))
        if str(stored["key"]) == key:
            return stored
        raise ConfigError(
            f"{cache.parent}: the files of the demonstrations have changed since this folder was begun; choose another "
            "--out, or remove it"
        )
    began = time.perf_counter()
    count = source.count
    chunks = [range(i, min(i + CHUNK, count)) for i in range(0, count, CHUNK)]
    ids: list[Any] = []
    lengths: list[int] = []
    own: list[Any] = []
    with multiprocessing.get_context("spawn").Pool(os.cpu_count(), _begin, (source, source.words(), seed)) as pool:
        for rows in pool.imap(_encode_chunk, chunks):
            for row, said in rows:
                ids.append(np.asarray(row, dtype=np.uint16))
                lengths.append(len(row))
                own.append(np.asarray(said))
    if max(lengths) > context:
        longest = lengths.index(max(lengths))
        raise ConfigError(
            f"architecture.context: demonstration {longest + 1} has {max(lengths)} tokens, and the model holds "
            f"{context}; raise it, or take shorter tasks"
        )
    stored = {
        "ids": np.concatenate(ids),
        "starts": np.concatenate([[0], np.cumsum(lengths)]),
        "own": np.concatenate(own),
        "key": np.asarray(key),
    }
    unfinished = cache.with_name("writing-" + cache.name)
    np.savez(unfinished, **stored)
    unfinished.rename(cache)
    say(
        f"{count} demonstrations, {len(stored['ids'])} tokens, longest {max(lengths)}, "
        f"in {time.perf_counter() - began:.0f} s",
        flush=True,
    )
    return stored


_given: list[tuple[Source, Sequence[str], int]] = []
"""What all chunks of a worker are made of: source, words and seed."""


def _begin(source: Source, words: Sequence[str], seed: int) -> None:
    """Sends it to a worker once, instead of with every chunk."""
    _given[:] = [(source, words, seed)]


def _encode_chunk(indices: range) -> Rows:
    ((source, words, seed),) = _given
    return encode(source, words, seed, indices)
