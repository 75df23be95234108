"""From traces to batches and losses: the very ids that were sampled, the loss where it belongs, nothing cut."""

import json
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from helpers.fitting import phase
from helpers.stores import add
from helpers.support import config_with, example_row, trace, whole_traces
from iterdeploy.models.loading import base_policy, load, model_folder
from iterdeploy.record.store import TraceStore
from iterdeploy.training import worker
from iterdeploy.training.batching import collate, length_buckets, length_buckets_in_order
from iterdeploy.training.examples import StoredExamples, make_examples
from iterdeploy.training.objective import token_logprobs, weighted_nll
from iterdeploy.training.trainer import split_validation
from iterdeploy.types import Example


def test_a_training_row_is_the_stored_prompt_ids_and_the_sampled_ids_and_nothing_else(finished: Path) -> None:
    store = TraceStore(finished / "traces.sqlite", read_only=True)
    for generation in range(2):
        pool = json.loads((finished / f"generation-{generation}" / "curated.json").read_text())
        rows = make_examples(store.each(pool["weights"]), pool["weights"])
        assert [row.trace_id for row in rows] == list(pool["weights"])
        for row in rows:
            (said,) = next(store.each([row.trace_id])).completions
            assert row.token_ids == said.prompt_token_ids + said.token_ids
            assert row.token_ids[row.spans[0][0] :] == said.token_ids
            assert row.token_ids[-1] == 0, "the end mark is trained on"
    store.close()


def test_the_loss_covers_the_sampled_ids_with_the_end_mark_and_nothing_of_prompt_or_padding() -> None:
    rows = [
        Example("a", (7, 8, 9, 4, 0), ((3, 5),)),
        Example("b", (7, 0, 5, 6, 4, 3, 0), ((2, 7),), 0.5),
        Example("c", (1, 1), ((1, 2),)),
    ]
    batch = collate(rows, pad_id=0)
    assert batch.ids.tolist() == [[7, 8, 9, 4, 0, 0, 0], [7, 0, 5, 6, 4, 3, 0], [1, 1, 0, 0, 0, 0, 0]]
    assert batch.attention.tolist() == [[1, 1, 1, 1, 1, 0, 0], [1] * 7, [1, 1, 0, 0, 0, 0, 0]]
    assert batch.loss_mask.tolist() == [[0, 0, 0, 1, 1, 0, 0], [0, 0, 1, 1, 1, 1, 1], [0, 1, 0, 0, 0, 0, 0]]
    assert batch.weights.tolist() == [1.0, 0.5, 1.0]


@pytest.mark.parametrize("seed", range(4))
def test_batches_hold_every_row_once_within_the_budget_and_cut_nothing(seed: int) -> None:
    import numpy as np

    lengths = [random.Random(seed).randint(5, 90) for _ in range(200)] + [5000]
    batches = length_buckets(lengths, 300, np.random.default_rng(seed))
    assert sorted(index for batch in batches for index in batch) == list(range(201))
    for batch in batches:
        assert len(batch) * max(lengths[i] for i in batch) <= 300 or batch == [200]
    assert batches == length_buckets(lengths, 300, np.random.default_rng(seed))
    assert batches != length_buckets(lengths, 300, np.random.default_rng(seed + 100))


def test_validation_batches_hold_every_row_once() -> None:
    rows = [example_row(str(i), (1,) * (i % 30 + 2), 1) for i in range(100)] + [example_row("long", (1,) * 900, 1)]
    batches = length_buckets_in_order(rows, 200)
    assert sorted(row.trace_id for batch in batches for row in batch) == sorted(row.trace_id for row in rows)
    for batch in batches:
        assert len(batch) * max(len(row.token_ids) for row in batch) <= 200 or len(batch) == 1


def test_the_validation_split_keeps_all_traces_of_one_prompt_on_one_side() -> None:
    traces = [trace(f"t{i}", index=k, prompt=(i, i + 1)) for i in range(100) for k in range(3)]
    rows = make_examples(traces, {one.id: 1.0 for one in traces})
    train, held = split_validation(rows, 0.1)
    assert sorted(row.trace_id for row in train + held) == sorted(row.trace_id for row in rows)
    assert 24 <= len(held) <= 33
    assert not {row.token_ids[:2] for row in train} & {row.token_ids[:2] for row in held}
    again = split_validation(list(reversed(rows)), 0.1)
    assert {row.trace_id for row in again[1]} == {row.trace_id for row in held}


def test_something_always_trains() -> None:
    rows = [example_row(str(i), (i + 1, 5, 0), 1) for i in range(2)]
    assert [len(side) for side in split_validation(rows[:1], 0.5)] == [1, 0]
    assert [len(side) for side in split_validation(rows, 0.9)] == [1, 1]
    assert [len(side) for side in split_validation(rows, 0.0)] == [2, 0]
    same = [example_row(str(i), (1, 5 + i, 0), 1) for i in range(5)]
    assert [len(side) for side in split_validation(same, 0.4)] == [5, 0]


def test_token_logprobs_belong_to_the_token_that_was_predicted() -> None:
    import torch

    logits = torch.randn(2, 5, 7, generator=torch.Generator().manual_seed(0))
    ids = torch.tensor([[1, 2, 3, 4, 5], [6, 5, 4, 3, 2]])
    logprobs = token_logprobs(logits, ids)
    assert logprobs.shape == (2, 5) and logprobs[:, 0].tolist() == [0, 0]
    for row in range(2):
        for t in range(1, 5):
            expected = logits[row, t - 1].softmax(-1)[ids[row, t]].log()
            assert float(logprobs[row, t]) == pytest.approx(float(expected), abs=1e-6)


def test_weighted_nll_by_hand() -> None:
    import torch

    logprobs = torch.tensor([[0.0, -1.0, -2.0], [0.0, -4.0, -8.0]])
    mask = torch.tensor([[0.0, 1.0, 1.0], [0.0, 0.0, 1.0]])
    assert float(weighted_nll(logprobs, mask, torch.tensor([1.0, 0.5]), 2.0)) == pytest.approx((3 + 0.5 * 8) / 2)
    assert float(weighted_nll(logprobs, mask, torch.tensor([0.0, -1.0]), 1.0)) == pytest.approx(-8)


def test_a_batch_in_parts_has_the_gradient_of_the_whole(finished: Path) -> None:
    import torch

    config = config_with()
    here = load(base_policy(model_folder(config.model)), config.model, torch.float32)
    store = TraceStore(finished / "traces.sqlite", read_only=True)
    traces = whole_traces(store, generation=0)
    store.close()
    examples = make_examples(traces, {one.id: 1.0 for one in traces})
    model: Any = here.model
    rows = [replace(row, weight=1 + i / 3) for i, row in enumerate(examples[:6])]

    def gradient(parts: list[list[Example]]) -> Any:
        model.zero_grad()
        normaliser = float(sum(row.loss_tokens for row in rows))
        for part in parts:
            batch = collate(part, here.pad_id)
            logits = model(input_ids=batch.ids, attention_mask=batch.attention, use_cache=False).logits
            loss = weighted_nll(token_logprobs(logits, batch.ids), batch.loss_mask, batch.weights, normaliser)
            loss.backward()  # type: ignore[no-untyped-call]
        return torch.cat([parameter.grad.flatten() for parameter in model.parameters()])

    whole = gradient([rows])
    assert float(whole.norm()) > 0
    for parts in ([rows[:1], rows[1:]], [[row] for row in rows]):
        assert float((gradient(parts) - whole).norm()) < 1e-4 * float(whole.norm())


def test_workers_are_handed_ids_and_read_the_tokens_themselves(tmp_path: Path) -> None:
    traces = [trace("t1"), trace("t2", index=1)]
    weights = {traces[1].id: 0.5, traces[0].id: 2.0}
    store = TraceStore(tmp_path / "traces.sqlite")
    add(store, *traces)
    handed = worker.written(phase(StoredExamples(store.path, weights)))
    assert "token_ids" not in handed
    assert list(worker.read(handed).pool.examples) == make_examples(store.each(weights), weights)
    store.close()
