"""Training: the very ids that were sampled, the loss where it belongs, the same weights for the same seed."""

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from helpers.support import TINY, config_with, example_row, whole_traces
from iterdeploy.cli.failures import explain
from iterdeploy.config import TrainingConfig
from iterdeploy.models.loading import base_policy, load, model_folder
from iterdeploy.record.store import TraceStore
from iterdeploy.training.examples import make_examples
from iterdeploy.training.trainer import (
    GradientTrainer,
    TrainingError,
    TrainingExamples,
    read_policy,
    split_validation,
)
from iterdeploy.types import Example, Policy

CONFIG = config_with()
BASE = base_policy(model_folder(CONFIG.model))


@pytest.fixture(scope="module")
def examples(finished: Path) -> list[Example]:
    """Examples of real traces of the finished run."""
    store = TraceStore(finished / "traces.sqlite", read_only=True)
    traces = whole_traces(store, generation=0)
    store.close()
    return make_examples(traces, {one.id: 1.0 for one in traces})


def trainer(**changes: Any) -> GradientTrainer:
    settings = {**TINY["training"], "warmup_share": 0.0, "bf16": False, **changes}
    return GradientTrainer(TrainingConfig(**settings), CONFIG.model, 5)


def fit(one: GradientTrainer, rows: Sequence[Example], out: Path, start: Policy = BASE, generation: int = 1) -> Policy:
    out.mkdir(parents=True)
    one.fit(start, generation, TrainingExamples(rows, "digest"), out, lambda done, total: None)
    return read_policy(out)


def losses(policy: Policy, rows: Sequence[Example]) -> list[float]:
    """Summed negative log-likelihood of each row's loss tokens under the policy, one row at a time."""
    import torch

    here = load(policy, CONFIG.model, torch.float32)
    model: Any = here.model
    out = []
    for row in rows:
        ids = torch.tensor([row.token_ids])
        with torch.no_grad():
            table = model(input_ids=ids, use_cache=False).logits[0, :-1].log_softmax(-1)
        picked = table.gather(1, ids[0, 1:, None])[:, 0]
        out.append(-float(picked[row.spans[0][0] - 1 :].sum()))
    return out


def report(folder: Path) -> dict[str, Any]:
    values: dict[str, Any] = json.loads((folder / "training.json").read_text())
    return values


# The trainer


def test_mixed_precision_is_used_only_where_the_device_has_it(
    tmp_path: Path, examples: list[Example], monkeypatch: pytest.MonkeyPatch
) -> None:
    digests = {}
    for name, wanted, able in (("float32", False, True), ("not able", True, False), ("mixed", True, True)):
        monkeypatch.setattr("iterdeploy.training.fit.has_bfloat16", lambda device, able=able: able)
        fit(trainer(bf16=wanted), examples[:6], tmp_path / name)
        digests[name] = hashlib.sha256((tmp_path / name / "model.safetensors").read_bytes()).hexdigest()
    assert digests["float32"] == digests["not able"] != digests["mixed"]


@pytest.mark.parametrize("method", ["full", "lora"])
def test_training_lowers_the_loss_and_the_saved_policy_has_it(
    examples: list[Example], tmp_path: Path, method: str
) -> None:
    few = examples[:6]
    policy = fit(trainer(method=method, epochs=4, validation_share=0.0, learning_rate=2e-3, lora_dropout=0.0), few,
                 tmp_path / "out")  # fmt: skip
    before, after = losses(BASE, few), losses(policy, few)
    assert sum(after) < 0.9 * sum(before)
    told = report(tmp_path / "out")
    tokens = sum(row.loss_tokens for row in few)
    assert told["last_loss"] < told["first_loss"]
    assert told["examples"] == 6 and told["validation_examples"] == 0
    assert told["tokens"] == 4 * sum(len(row.token_ids) for row in few)
    assert sum(after) / tokens < told["first_loss"]
    assert policy.adapter == (method == "lora")
    assert (policy.generation, policy.parent_id, policy.curated_digest) == (1, BASE.id, "digest")


def test_one_step_s_loss_is_the_plain_mean_over_the_answer_s_tokens(examples: list[Example], tmp_path: Path) -> None:
    rows = examples[:3]
    fit(trainer(validation_share=0.0, tokens_per_batch=10_000), rows, tmp_path / "out")
    told = report(tmp_path / "out")
    tokens = sum(row.loss_tokens for row in rows)
    assert told["steps"] == 1
    assert told["first_loss"] == pytest.approx(sum(losses(BASE, rows)) / tokens, rel=1e-4)


def test_a_row_of_weight_0_teaches_nothing(examples: list[Example], tmp_path: Path) -> None:
    rows = [replace(row, weight=0.0) for row in examples[:3]]
    policy = fit(trainer(validation_share=0.0), rows, tmp_path / "out")
    assert losses(policy, rows) == losses(BASE, rows)


def test_a_long_example_stays_whole(examples: list[Example], tmp_path: Path) -> None:
    long = example_row("long", examples[0].token_ids * 40, 5)
    assert len(long.token_ids) > 1500
    fit(trainer(validation_share=0.0, tokens_per_batch=64), [long, examples[1]], tmp_path / "out")
    assert report(tmp_path / "out")["tokens"] == len(long.token_ids) + len(examples[1].token_ids)


def test_the_validation_loss_is_reported_before_and_after_every_epoch(examples: list[Example], tmp_path: Path) -> None:
    policy = fit(trainer(validation_share=0.3, epochs=3), examples, tmp_path / "out")
    told = report(tmp_path / "out")
    train, held = split_validation(examples, 0.3)
    assert (told["examples"], told["validation_examples"]) == (len(train), len(held)) and held
    tokens = sum(row.loss_tokens for row in held)
    assert len(told["validation_loss"]) == 4
    assert told["validation_loss"][0] == pytest.approx(sum(losses(BASE, held)) / tokens, rel=1e-4)
    assert told["validation_loss"][-1] == pytest.approx(sum(losses(policy, held)) / tokens, rel=1e-4)


def test_the_same_seed_gives_the_same_weights(examples: list[Example], tmp_path: Path) -> None:
    def digest(name: str, seed: int) -> str:
        settings = TrainingConfig(**{**TINY["training"], "method": "lora", "epochs": 2})
        fit(GradientTrainer(settings, CONFIG.model, seed), examples[:8], tmp_path / name)
        return hashlib.sha256((tmp_path / name / "adapter_model.safetensors").read_bytes()).hexdigest()

    assert digest("a", 5) == digest("b", 5)
    assert digest("c", 6) != digest("a2", 5)


@pytest.mark.parametrize("method", ["full", "lora"])
@pytest.mark.parametrize("start_from", ["base", "previous"])
def test_a_second_generation_starts_where_it_is_told_to(
    examples: list[Example], tmp_path: Path, method: str, start_from: str
) -> None:
    one = trainer(method=method, start_from=start_from, validation_share=0.3, learning_rate=2e-3, epochs=3,
                  tokens_per_batch=10_000, lora_dropout=0.0)  # fmt: skip
    rows = examples[:10]
    _, held = split_validation(rows, 0.3)
    tokens = sum(row.loss_tokens for row in held)

    def loss(policy: Policy) -> float:
        return sum(losses(policy, held)) / tokens

    first = fit(one, rows, tmp_path / "1")
    start = one.start(BASE, first)
    assert start == (BASE if start_from == "base" else first)
    second = fit(one, rows, tmp_path / "2", start, 2)
    assert loss(first) != pytest.approx(loss(BASE), rel=1e-2)
    # What training measured in memory, before its first step and after its last, is what loading the policies gives.
    assert report(tmp_path / "2")["validation_loss"][0] == pytest.approx(loss(start), rel=1e-3)
    assert report(tmp_path / "2")["validation_loss"][-1] == pytest.approx(loss(second), rel=1e-3)
    assert second.parent_id == start.id and second.base_model == BASE.base_model
    assert len({BASE.id, first.id, second.id}) == 3


def test_training_that_diverges_is_reported_with_advice_and_leaves_no_policy(
    examples: list[Example], tmp_path: Path
) -> None:
    with pytest.raises(TrainingError) as caught:
        rows = [replace(example, weight=math.inf) for example in examples[:4]]
        fit(trainer(epochs=5, validation_share=0.0), rows, tmp_path / "out")
    told = explain(caught.value)
    assert told is not None and "training.learning_rate" in told
    assert not (tmp_path / "out" / "policy.json").exists()
