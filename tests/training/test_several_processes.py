"""Training in several processes, on a CPU with gloo: each holds the model whole (DDP), or its part of it (FSDP)."""

import errno
import json
import os
import resource
import signal
import subprocess
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from helpers.fitting import (
    BASE,
    CONFIG,
    ROWS,
    assert_same_weights,
    killed_after,
    phase,
    quiet,
    report,
    settings,
    weights,
)
from helpers.two_processes import train_as_two
from iterdeploy.cli.failures import explain
from iterdeploy.sections import ConfigError
from iterdeploy.training import forward as forward_module
from iterdeploy.training import trainer as trainer_module
from iterdeploy.training.failure import Failure
from iterdeploy.training.fit import fit
from iterdeploy.training.phase import TrainingExamples
from iterdeploy.training.ranks import Ranks
from iterdeploy.training.trainer import GradientTrainer, TrainingError

# Who takes what


@pytest.mark.parametrize("world", [1, 2, 3, 4])
@pytest.mark.parametrize("tokens", [1, 60, 10_000])
def test_every_row_goes_to_one_process_and_all_have_as_many_passes(world: int, tokens: int) -> None:
    for count in (1, 2, 7, 10):
        rows = ROWS[:count]
        passes = [Ranks(rank, world).passes(rows, tokens) for rank in range(world)]
        assert len({len(own) for own in passes}) == 1 and all(part for own in passes for part in own)
        counted = [row.trace_id for own in passes for part in own for row in part if row.weight > 0]
        assert sorted(counted) == sorted(row.trace_id for row in rows)
        for part in (part for own in passes for part in own):
            assert len(part) == 1 or max(len(row.token_ids) for row in part) * len(part) <= tokens
            assert len(part) == 1 or all(row.weight > 0 for row in part)


def test_a_run_that_lacks_accelerate_fails_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trainer_module, "find_spec", lambda name: None)
    GradientTrainer(settings(), CONFIG.model, 5)
    with pytest.raises(ConfigError, match="pip install accelerate"):
        GradientTrainer(settings(processes=2), CONFIG.model, 5)


# The same training


SHARDED = {"processes": 2, "sharding": "full"}
FULL = {"tokens_per_batch": 200, "epochs": 2, "rows_per_batch": 3, "tokens_per_pass": 30, "learning_rate": 1e-4}
ADAPTER = {"objective": "iw_sft", "importance": "self_normalised", "method": "lora", "lora_dropout": 0.0, "epochs": 2}


@pytest.mark.slow
@pytest.mark.parametrize(
    "how", [FULL, ADAPTER, FULL | SHARDED, ADAPTER | SHARDED | {"gradient_checkpointing": True, "rows_per_batch": 3}]
)
def test_two_processes_end_where_one_does(how: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "one").mkdir()
    pieces = 313 * 10  # the logits of ten tokens, so that the two processes have different numbers of pieces
    monkeypatch.setattr(forward_module, "LOGITS_AT_ONCE", pieces)
    fit(phase(**how), tmp_path / "one", quiet, Ranks())
    train_as_two(tmp_path / "two", how, pieces)
    alone, shared = weights(tmp_path / "one"), weights(tmp_path / "two")
    assert alone.keys() == shared.keys()
    step = settings(**how).learning_rate  # about what Adam moves a weight by, however small its gradient
    for name, value in alone.items():
        assert (value - shared[name]).abs().mean() < step / 100, name
    one, both = report(tmp_path / "one"), report(tmp_path / "two")
    # In float32, whose sums depend on their order and on the processor; a row too many shows in the hundredths.
    for first, second in zip(one["log"], both["log"], strict=True):
        assert second == pytest.approx(first, rel=1e-3)
    assert both["log"][0]["gradient_norm"] == pytest.approx(one["log"][0]["gradient_norm"], rel=1e-4)
    assert both["validation_loss"] == pytest.approx(one["validation_loss"], rel=1e-4)
    for first, second in zip(one["importance"], both["importance"], strict=True):
        assert second == pytest.approx(first, rel=1e-3)
    names = {path.name for path in (tmp_path / "one").iterdir()}
    assert names == {path.name for path in (tmp_path / "two").iterdir()} - {"meeting", "held-0.json", "held-1.json"}
    check_held(tmp_path / "two", sharded="sharding" in how)


def check_held(folder: Path, sharded: bool) -> None:
    """Each process held all numbers of the weights, gradients and optimiser states, or its half of them."""
    trained = sum(value.numel() for value in weights(folder).values())
    adapter = (folder / "adapter_model.safetensors").is_file()
    base = sum(value.numel() for value in weights(Path(BASE.base_model)).values())
    held = [json.loads((folder / f"held-{rank}.json").read_text()) for rank in range(2)]
    for kind, whole in (("weights", base + trained if adapter else base), ("gradients", trained), ("states", trained)):
        first, second = (sum(one[kind].values()) for one in held)
        if sharded:
            assert first + second == whole and max(first, second) < 0.51 * whole, kind
        else:
            assert first == second == whole, kind


@pytest.mark.slow
@pytest.mark.parametrize(
    "how",
    [
        {"processes": 2, "method": "lora", "lora_dropout": 0.3, "epochs": 3},
        {"processes": 2, "sharding": "full", "epochs": 3, "tokens_per_pass": 60},
    ],
)
def test_workers_die_with_their_parent_and_what_they_saved_goes_on(how: dict[str, Any], tmp_path: Path) -> None:
    whole = train_as_two(tmp_path / "whole", how)
    assert report(whole)["steps"] > 4
    killed_after(3, how, tmp_path / "killed")
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and processes_with(tmp_path / "killed"):
        time.sleep(0.1)
    assert not processes_with(tmp_path / "killed")
    unfinished = tmp_path / "killed" / "unfinished-policy"
    (saved,) = unfinished.glob("checkpoint-*")
    assert int(saved.name.partition("-")[2]) >= 3
    assert_same_weights(train_as_two(unfinished, how), whole)


def processes_with(path: Path) -> list[str]:
    """Number and command of each process of a training that writes there."""
    listed = subprocess.run(["ps", "-ww", "-eo", "pid,args"], capture_output=True, text=True, check=True).stdout
    return [line for line in listed.splitlines() if "iterdeploy.training." in line and str(path) in line]


@pytest.mark.slow
def test_what_stops_a_worker_is_raised_as_if_it_had_happened_here(tmp_path: Path) -> None:
    rows = [replace(ROWS[0], behaviour_logprob=None), *ROWS[1:]]
    trainer = GradientTrainer(settings(processes=2, objective="iw_sft", validation_share=0.0), CONFIG.model, 5)
    with pytest.raises(TrainingError, match="1 of 10 have none"):
        trainer.fit(BASE, 1, TrainingExamples(rows, "digest"), tmp_path, quiet)
    assert not processes_with(tmp_path)


@pytest.mark.slow
def test_a_disk_that_is_full_in_a_worker_is_reported_in_words(tmp_path: Path) -> None:
    trainer = GradientTrainer(settings(processes=2, checkpoint_minutes=0.0), CONFIG.model, 5)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, before[1]))
    try:
        with pytest.raises(Exception) as caught:
            trainer.fit(BASE, 1, TrainingExamples(ROWS, "digest"), tmp_path, quiet)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert (explain(caught.value) or "").startswith("the disk is full")
    assert not processes_with(tmp_path)


@pytest.mark.slow
def test_a_worker_that_is_killed_ends_the_others_and_is_reported(tmp_path: Path) -> None:
    def kill_one(done: int, total: int) -> None:
        workers = [line for line in processes_with(tmp_path) if "training.worker" in line]
        assert len(workers) == 2
        os.kill(int(workers[0].split()[0]), signal.SIGKILL)

    trainer = GradientTrainer(settings(processes=2), CONFIG.model, 5)
    with pytest.raises(TrainingError, match=r"training process [01] was killed \(SIGKILL\)"):
        trainer.fit(BASE, 1, TrainingExamples(ROWS, "digest"), tmp_path, kill_one)
    assert not processes_with(tmp_path)


def test_what_went_wrong_in_a_worker_comes_back_with_what_it_came_from() -> None:
    try:
        try:
            raise OSError(errno.ENOSPC, "No space left on device", "state.pt")
        except OSError:
            raise RuntimeError("unexpected pos 64 vs 0") from None
    except RuntimeError as error:
        error.__suppress_context__ = False
        back = Failure.read(Failure.of(error).line()).exception()
    assert isinstance(back, RuntimeError) and isinstance(back.__cause__, OSError)
    assert (explain(back) or "").startswith("the disk is full")
    assert explain(Failure.of(KeyError("a bug")).exception()) is None
    assert (explain(Failure.of(MemoryError()).exception()) or "").startswith("out of memory")
