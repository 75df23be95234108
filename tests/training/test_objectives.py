"""Objectives: SFT, REINFORCE and importance weighting are the same trainer with other weights."""

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from helpers.support import TINY, config_with, iterdeploy, weighed, whole_traces, write_config
from iterdeploy.config import TrainingConfig
from iterdeploy.config_file import load_config
from iterdeploy.curation.policies import rewarded
from iterdeploy.models.loading import base_policy, model_folder
from iterdeploy.record.store import TraceStore
from iterdeploy.sections import ConfigError
from iterdeploy.steps.components import assemble
from iterdeploy.training.examples import make_examples
from iterdeploy.training.objective import effective_sample_size, importance_ratios
from iterdeploy.training.trainer import GradientTrainer, TrainingError, TrainingExamples
from iterdeploy.types import Example, Trace

CONFIG = config_with()
BASE = base_policy(model_folder(CONFIG.model))


@pytest.fixture(scope="module")
def traces(finished: Path) -> list[Trace]:
    """What the base model wrote in the finished run: on-policy for a training that starts from the base model."""
    store = TraceStore(finished / "traces.sqlite", read_only=True)
    found = whole_traces(store, generation=0)
    store.close()
    return found


def examples_of(traces: Sequence[Trace], weights: dict[str, float]) -> list[Example]:
    known = {one.id: one for one in traces}
    return make_examples([known[trace_id] for trace_id in weights], weights)


@pytest.fixture(scope="module")
def examples(traces: list[Trace]) -> list[Example]:
    return examples_of(traces, {one.id: 1.0 for one in traces})


def fit(rows: Sequence[Example], out: Path, **changes: Any) -> dict[str, Any]:
    """What training from the base model on the rows reports."""
    settings = {**TINY["training"], "bf16": False, "validation_share": 0.0, **changes}
    out.mkdir()
    trainer = GradientTrainer(TrainingConfig(**settings), CONFIG.model, 5)
    trainer.fit(BASE, 1, TrainingExamples(rows, "digest"), out, lambda done, total: None)
    report: dict[str, Any] = json.loads((out / "training.json").read_text())
    return report


def test_ratios_by_hand() -> None:
    import torch

    logprobs = torch.tensor([[0.0, -1.0, -2.0], [0.0, -4.0, -8.0], [0.0, 0.0, 0.0]], requires_grad=True)
    mask = torch.tensor([[0.0, 1.0, 1.0], [0.0, 0.0, 1.0], [0.0, 1.0, 1.0]])
    ratios = importance_ratios(logprobs, mask, torch.tensor([-2.0, -8.0, -1000.0]))
    assert ratios.tolist() == pytest.approx([math.exp(-1), 1, math.exp(30)])
    rare = importance_ratios(-300 * mask, mask, torch.zeros(3))
    assert (rare > 0).all() and (rare < 1e-30).all()
    assert not ratios.requires_grad


def test_the_effective_sample_size_is_between_one_and_all() -> None:
    import torch

    assert effective_sample_size(torch.full((8,), 0.3)) == pytest.approx(8)
    assert effective_sample_size(torch.tensor([5.0, 0.0, 0.0])) == pytest.approx(1)
    assert effective_sample_size(torch.tensor([1.0, 3.0])) == pytest.approx(1.6)


def test_reinforce_without_a_baseline_is_sft_on_the_valid_traces(traces: list[Trace], tmp_path: Path) -> None:
    valid = [one for one in traces if one.valid]
    assert 0 < len(valid) < len(traces)
    kept = {one.trace.id: one.weight for one in rewarded("none", weighed(traces))}
    fit(examples_of(traces, kept), tmp_path / "reinforce", objective="reinforce", baseline="none")
    fit(examples_of(traces, {one.id: 1.0 for one in valid}), tmp_path / "sft")
    first, second = ((tmp_path / name / "model.safetensors").read_bytes() for name in ("reinforce", "sft"))
    assert first == second


def test_a_negative_weight_makes_a_trace_less_likely(examples: list[Example], tmp_path: Path) -> None:
    bad = [replace(row, weight=-1.0) for row in examples[:4]]
    report = fit(bad, tmp_path / "out", objective="reinforce", steps=6, learning_rate=1e-4)
    assert report["last_loss"] < report["first_loss"] < 0  # the loss is minus the weight times the likelihood


@pytest.mark.parametrize("steps", [1, 7, 25])
def test_a_phase_takes_the_steps_that_are_asked_for(examples: list[Example], tmp_path: Path, steps: int) -> None:
    report = fit(examples[:10], tmp_path / "out", steps=steps)
    assert report["steps"] == len(report["log"]) == steps


def test_traces_of_the_policy_itself_have_ratios_of_one(examples: list[Example], tmp_path: Path) -> None:
    first, *later = fit(examples, tmp_path / "out", objective="iw_sft", epochs=2)["importance"]
    assert first["mean_ratio"] == pytest.approx(1, abs=1e-3)
    assert first["effective_sample_size"] == pytest.approx(len(examples), rel=1e-4)
    assert first["gap"] < 1e-5  # nats per token between the sampler and the trainer
    assert [one["gap"] > 1e-3 for one in later] == [True]  # after an epoch the policy is another one


def test_ratios_are_clipped_or_normalised_by_their_mean(examples: list[Example], tmp_path: Path) -> None:
    whole = {"epochs": 1, "tokens_per_batch": 100_000}
    plain = fit(examples, tmp_path / "sft", **whole)["first_loss"]
    rare = [replace(row, behaviour_logprob=(row.behaviour_logprob or 0) - 3) for row in examples]
    clipped = fit(rare, tmp_path / "clipped", objective="iw_sft", importance_clip=2.5, **whole)
    assert clipped["first_loss"] == pytest.approx(2.5 * plain, rel=1e-4)  # exp(3) is more
    assert clipped["importance"][0]["clipped_share"] == 1
    assert clipped["importance"][0]["mean_ratio"] == pytest.approx(math.exp(3), rel=1e-3)
    normalised = fit(rare, tmp_path / "normalised", objective="iw_sft", importance="self_normalised", **whole)
    assert normalised["first_loss"] == pytest.approx(plain, rel=1e-4)


def test_without_recorded_probabilities_there_is_no_importance_weighting(
    examples: list[Example], tmp_path: Path
) -> None:
    rows = [replace(examples[0], behaviour_logprob=None), *examples[1:4]]
    with pytest.raises(TrainingError, match="1 of 4 have none"):
        fit(rows, tmp_path / "out", objective="iw_sft")
    assert fit(rows, tmp_path / "sft")["importance"] == []


def test_the_examples_carry_the_probability_with_which_they_were_sampled(traces: list[Trace]) -> None:
    (row,) = examples_of(traces, {traces[0].id: 1.0})
    assert row.behaviour_logprob == pytest.approx(sum(traces[0].completions[0].logprobs or ()))
    silent = replace(traces[0], completions=(replace(traces[0].completions[0], logprobs=None),))
    assert make_examples([silent], {silent.id: 1.0})[0].behaviour_logprob is None


@pytest.mark.slow
@pytest.mark.parametrize(
    ("objective", "policies"), [("reinforce", ["newest_generation"]), ("iw_reinforce", ["all"]), ("iw_sft", ["valid"])]
)
def test_a_whole_run_with_each_objective(tmp_path: Path, objective: str, policies: list[str]) -> None:
    path = write_config(
        tmp_path,
        {"training.objective": objective, "curation.policies": policies, "training.start_from": "previous",
         "training.learning_rate": 1e-5, "training.steps": 3, "generations": 1, "training.baseline": "mean"},
        objective,
    )  # fmt: skip
    done = iterdeploy("run", path, "--runs-dir", tmp_path)
    assert done.returncode == 0, done.stderr
    pool = json.loads((tmp_path / objective / "generation-0" / "curated.json").read_text())["weights"].values()
    if objective == "iw_sft":
        assert set(pool) == {1.0}
    else:
        assert min(pool) < 0 < max(pool) and sum(pool) == pytest.approx(0, abs=1e-9)
    report = json.loads((tmp_path / objective / "generation-0" / "policy" / "training.json").read_text())
    assert report["steps"] == 3 and bool(report["importance"]) == objective.startswith("iw_")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"training.objective": "iw_sft", "sampling.temperature": 0.6}, "temperature = 1"),
        ({"training.objective": "reinforce", "curation.policies": ["valid"]}, "invalid traces"),
        ({"training.objective": "dpo"}, "training.objective"),
    ],
)
def test_an_objective_that_cannot_work_is_refused_before_anything_starts(
    tmp_path: Path, changes: dict[str, Any], words: str
) -> None:
    with pytest.raises(ConfigError, match=words):
        assemble(load_config(write_config(tmp_path, changes)))
