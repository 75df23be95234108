"""From curated traces to training examples: the stored token ids, never re-rendered and never re-tokenised text.

Processes that train are handed ids and the store's path (`StoredExamples`), not tokens.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import overload

from iterdeploy.record.store import TraceStore
from iterdeploy.types import Completion, Example, Trace


class StoredExamples(Sequence[Example]):
    """The examples of a pool, read from a run's store when they are first looked into.

    `weights`: trace id -> weight in the loss.
    """

    def __init__(self, store: Path, weights: Mapping[str, float]) -> None:
        self.store = store
        self.weights = weights

    @cached_property
    def _read(self) -> list[Example]:
        store = TraceStore(self.store, read_only=True)
        try:
            return make_examples(store.each(self.weights), self.weights)
        finally:
            store.close()

    def __len__(self) -> int:
        return len(self._read)

    @overload
    def __getitem__(self, index: int) -> Example: ...
    @overload
    def __getitem__(self, index: slice) -> list[Example]: ...
    def __getitem__(self, index: int | slice) -> Example | list[Example]:
        return self._read[index]


def make_examples(traces: Iterable[Trace], weights: Mapping[str, float]) -> list[Example]:
    """The examples of the traces, in their order: the ids that were sent, and exactly those that were sampled.

    What the model sampled carries the loss, the end marks included, so a policy learns to stop; what it was sent does
    not. A truncated answer has no end mark and gets none: it is trained on as it was sampled.

    An agent takes turns. A call whose prompt is all that was sent and sampled before, and something new, continues the
    example; any other call, as after a template dropped the reasoning, begins another one of the same trace.
    """
    examples = []
    for trace in traces:
        calls = tuple(trace.completions)
        starts = [0, *(i for i, (before, call) in enumerate(pairwise(calls), 1) if not _continues(before, call))]
        for part, (start, end) in enumerate(pairwise([*starts, len(calls)])):
            examples.append(_example(trace.id, calls[start:end], weights[trace.id], part))
    return examples


def _continues(before: Completion, call: Completion) -> bool:
    known = before.prompt_token_ids + before.token_ids
    return call.prompt_token_ids[: len(known)] == known


def _example(trace_id: str, calls: Sequence[Completion], weight: float, part: int) -> Example:
    spans = [(len(call.prompt_token_ids), len(call.prompt_token_ids) + len(call.token_ids)) for call in calls]
    logprobs = [value for call in calls for value in call.logprobs or ()]
    known = all(call.logprobs is not None for call in calls)
    token_ids = calls[-1].prompt_token_ids + calls[-1].token_ids
    return Example(trace_id, token_ids, tuple(spans), weight, math.fsum(logprobs) if known else None, part)
