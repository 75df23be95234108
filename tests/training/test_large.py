"""Training large models: steps in passes, logits in chunks, checkpoints; never another gradient."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from helpers.fitting import (
    BASE,
    CONFIG,
    DRAW,
    ROWS,
    assert_same_weights,
    killed_after,
    phase,
    quiet,
    report,
    settings,
    train_in_stage,
    weights,
)
from helpers.random_models import MODELS, OTHER_LOGITS, largest_tensor, random_model
from helpers.support import example_row, write_config
from iterdeploy.config_file import load_config
from iterdeploy.models.loading import load
from iterdeploy.record.run_dir import Stage
from iterdeploy.sections import ConfigError
from iterdeploy.training import forward as forward_module
from iterdeploy.training import importance
from iterdeploy.training.batching import plan
from iterdeploy.training.fit import add_gradient, fit
from iterdeploy.training.forward import Forward
from iterdeploy.training.objective import importance_ratios
from iterdeploy.training.phase import TrainingExamples
from iterdeploy.training.ranks import Ranks
from iterdeploy.training.trainer import GradientTrainer, read_policy

# The gradient


def forward_of(model: Any) -> Forward:
    return Forward(model, SimpleNamespace(device="cpu", pad_id=0), False)  # type: ignore[arg-type]


def gradient(forward: Forward, correction: importance.Correction | None = None, **changes: Any) -> tuple[float, Any]:
    """(loss, gradient) of one step on all rows in training mode, with the same dropout every time."""
    import torch

    forward.model.train()
    forward.model.zero_grad()
    torch.manual_seed(1)
    loss = add_gradient(forward, ROWS, settings(**{"tokens_per_batch": 10_000, **changes}), Ranks(), correction)
    grads = [one.grad for one in forward.model.parameters() if one.requires_grad]
    return loss, torch.cat([one.flatten() for one in grads if one is not None])


def assert_equal(one: tuple[float, Any], other: tuple[float, Any], tolerance: float = 1e-11) -> None:
    assert one[0] == pytest.approx(other[0], rel=tolerance)
    assert float(other[1].norm()) > 0
    assert float((one[1] - other[1]).norm()) <= tolerance * float(other[1].norm())


@pytest.mark.parametrize("kind", [*MODELS, *OTHER_LOGITS])
def test_logits_in_chunks_give_the_same_loss_and_gradient(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = (MODELS | OTHER_LOGITS)[kind]()
    for name, module in model.named_modules():  # dropout is drawn in another order where the output layer has some
        if "lm_head.lora_dropout" in name and hasattr(module, "p"):
            module.p = 0.0
    plain = gradient(forward_of(model))
    monkeypatch.setattr(forward_module, "LOGITS_AT_ONCE", 61 * 7)
    chunked = forward_of(model)
    assert_equal(gradient(chunked), plain)
    assert (chunked.output_layer is not None) == (kind in MODELS)


def test_the_chunks_of_an_output_layer_with_dropout_keep_it_for_the_backward_pass(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The gradient of a chunk is that of what was drawn in its forward pass: by finite differences."""
    import torch

    monkeypatch.setattr(forward_module, "LOGITS_AT_ONCE", 61 * 7)
    forward = forward_of(MODELS["adapter on the output layer"]())
    _, slope = gradient(forward)
    parameters = [one for one in forward.model.parameters() if one.requires_grad]
    with torch.no_grad():
        for one in parameters:
            one.add_(1e-6)
    up = gradient(forward)[0]
    with torch.no_grad():
        for one in parameters:
            one.sub_(2e-6)
    assert (up - gradient(forward)[0]) / 2e-6 == pytest.approx(float(slope.sum()), rel=1e-6)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("tokens", [1, 60, 130])
def test_a_step_in_passes_has_the_gradient_of_the_whole(tokens: int, weighted: bool) -> None:
    import torch

    forward = forward_of(MODELS["absolute positions"]())
    correction = None
    if weighted:
        how = settings(objective="iw_sft", importance="self_normalised")
        with torch.no_grad():
            batch = forward.batch(ROWS)
            ratios = importance_ratios(forward.logprobs(batch), batch.loss_mask, batch.behaviour)
        measured = importance.measure(forward, ROWS, how, tokens, Ranks())
        assert measured["mean_ratio"] == pytest.approx(float(ratios.mean()), rel=1e-9)
        correction = importance.correction(how, measured)
    whole = gradient(forward, correction)
    assert_equal(gradient(forward, correction, tokens_per_pass=tokens), whole)


def test_activations_that_are_computed_again_give_the_same_gradient() -> None:
    forward = forward_of(MODELS["adapter"]())
    whole = gradient(forward)
    forward.model.gradient_checkpointing_enable({"use_reentrant": False})
    assert_equal(gradient(forward), whole, 1e-13)


def test_the_logits_of_a_long_row_never_exist_at_once() -> None:
    model = random_model("qwen3", vocab_size=40_000, max_position_embeddings=2048, tie_word_embeddings=True).float()
    row = example_row("long", tuple(DRAW.randrange(40_000) for _ in range(1500)), 100)
    model.train()
    with largest_tensor() as seen:
        add_gradient(forward_of(model), [row], settings(), Ranks())
    assert 40_000 * 16 <= seen[0] <= forward_module.LOGITS_AT_ONCE < 40_000 * 1400
    assert float(model.get_input_embeddings().weight.grad.norm()) > 0


# Batches


def test_batches_of_rows_hold_every_row_once_per_epoch_in_random_order() -> None:
    lengths = [len(row.token_ids) for row in ROWS]
    for rows in (1, 4):
        epochs = plan(lengths, settings(rows_per_batch=rows, epochs=2), 0)
        assert [sorted(i for batch in epoch for i in batch) for epoch in epochs] == [list(range(10))] * 2
        assert [len(batch) for batch in epochs[0]] == ([1] * 10 if rows == 1 else [4, 4, 2])
        assert epochs[0] != epochs[1]
    assert [len(epoch) for epoch in plan(lengths, settings(rows_per_batch=4, steps=7), 0)] == [3, 3, 1]


def test_the_paper_s_batches_of_one_take_a_step_per_trace_whatever_its_length(tmp_path: Path) -> None:
    fit(phase(rows_per_batch=1, epochs=2, validation_share=0.0, tokens_per_batch=10), tmp_path, quiet, Ranks())
    told = report(tmp_path)
    assert told["steps"] == 20 and told["tokens"] == 2 * sum(len(row.token_ids) for row in ROWS)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"training.base_dtype": "bfloat16"}, 'method = "lora"'),
        ({"training.rows_per_batch": 1, "training.processes": 2}, "processes = 1"),
        ({"training.sharding": "full"}, "number of GPUs"),
    ],
)
def test_keys_that_cannot_work_together_are_refused(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        load_config(write_config(tmp_path, changes))


def test_keys_that_are_not_set_leave_a_policy_s_identifier_as_it_was() -> None:
    assert "rows_per_batch" not in settings().identity() and "epochs" in settings().identity()
    same, others = phase(checkpoint_minutes=3.0), [phase(rows_per_batch=2), phase(processes=2), phase(epochs=3)]
    assert same.identifier == phase().identifier
    others.append(phase(processes=2, sharding="full"))
    assert len({one.identifier for one in [same, *others]}) == 5


# Precision


@pytest.mark.slow
def test_a_base_model_in_bf16_trains_an_adapter_in_float32(tmp_path: Path) -> None:
    import torch

    rows = [replace(row, weight=1.0) for row in ROWS]
    how = phase(rows, method="lora", base_dtype="bfloat16", epochs=6, learning_rate=5e-3, validation_share=0.0,
                bf16=True, gradient_checkpointing=True, lora_dropout=0.0)  # fmt: skip
    seen: dict[str, set[torch.dtype]] = {"adapter": set(), "base": set()}

    def look(model: Any, *_: Any) -> Any:
        for name, parameter in model.named_parameters():
            seen["adapter" if "lora_" in name else "base"].add(parameter.dtype)
        return original(model, *_)

    with pytest.MonkeyPatch.context() as patch:
        from iterdeploy.training import fit as fitting

        original = fitting._parts
        patch.setattr(fitting, "_parts", look)
        fit(how, tmp_path, quiet, Ranks())
    assert seen == {"adapter": {torch.float32}, "base": {torch.bfloat16}}
    assert {value.dtype for value in weights(tmp_path).values()} == {torch.float32}
    told = report(tmp_path)
    assert told["last_loss"] < 0.9 * told["first_loss"]
    here = load(read_policy(tmp_path), CONFIG.model, torch.float32, keep_adapter=True)
    loss = add_gradient(Forward(here.model, here, False), rows, settings(tokens_per_batch=10_000), Ranks())
    assert loss < 0.9 * told["first_loss"], "what was saved is what was trained"


# Checkpoints

HOW = {
    "full": {"epochs": 3},
    "adapter": {"method": "lora", "lora_dropout": 0.3, "epochs": 3, "objective": "iw_sft",
                "importance": "self_normalised", "rows_per_batch": 3, "tokens_per_pass": 40},
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", HOW)
def test_a_training_that_is_killed_goes_on_and_ends_with_the_same_weights(name: str, tmp_path: Path) -> None:
    how, path = HOW[name], tmp_path / "killed"
    expected = train_in_stage(how, tmp_path / "whole")
    steps = report(expected)["steps"]
    assert steps == 9
    killed_after(2, how, path)
    (saved,) = (path / "unfinished-policy").glob("checkpoint-*")
    assert saved.name == "checkpoint-2"
    (path / "unfinished-policy" / "model.safetensors").write_bytes(b"half")
    (path / "unfinished-policy" / "writing-checkpoint").mkdir()
    killed_after(5, how, path)  # in the third epoch now, as it went on after the second step
    assert (path / "unfinished-policy" / "checkpoint-7").is_dir()
    seen: list[int] = []
    patched = GradientTrainer(settings(**how, checkpoint_minutes=0.0), CONFIG.model, 5)
    done = Stage(path).folder("policy", lambda out: patched.fit(
        BASE, 1, TrainingExamples(ROWS, "digest"), out, lambda done, total: seen.append(done)))  # fmt: skip
    assert len(seen) == 1 + 9 - 7, "only what was owed was trained"
    assert_same_weights(done, expected)
    assert {p.name for p in done.iterdir()} == {p.name for p in expected.iterdir()}
    first, second = report(done), report(expected)
    for key in ("log", "validation_loss", "importance", "tokens", "steps"):
        assert first[key] == second[key], key


@pytest.mark.slow
def test_a_checkpoint_of_another_policy_is_not_used_and_does_not_stay(tmp_path: Path) -> None:
    expected = train_in_stage({"epochs": 1}, tmp_path / "whole")
    killed_after(1, {"epochs": 1, "learning_rate": 1e-2}, tmp_path / "other")
    assert list((tmp_path / "other").glob("unfinished-policy/checkpoint-*"))
    done = train_in_stage({"epochs": 1}, tmp_path / "other")
    assert_same_weights(done, expected)
    assert not list(tmp_path.rglob("checkpoint-*"))


def test_without_the_time_for_one_no_checkpoint_is_written(tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("iterdeploy.training.checkpoints.Checkpoints._write", lambda *_: pytest.fail("written"))
        fit(phase(), tmp_path, quiet, Ranks())
