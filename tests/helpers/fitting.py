"""What the tests of the trainer share: a few random rows, a phase that trains on them, and what it leaves behind."""

import json
import multiprocessing
import os
import random
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from helpers.support import TINY, config_with, example_row
from iterdeploy.config import TrainingConfig
from iterdeploy.models.loading import base_policy, model_folder
from iterdeploy.record.run_dir import Stage
from iterdeploy.training.phase import Phase, TrainingExamples
from iterdeploy.training.trainer import GradientTrainer
from iterdeploy.types import Example

CONFIG = config_with()
BASE = base_policy(model_folder(CONFIG.model))
DRAW = random.Random(3)
ROWS = [
    example_row(f"t{i}", tuple(DRAW.randrange(2, 60) for _ in range(length)), length // 3, 0.5 + i / 10, -2.5 * length)
    for i, length in enumerate([9, 30, 12, 25, 18, 40, 11, 21, 33, 15])
]

forks = multiprocessing.get_context("forkserver")
forks.set_forkserver_preload(
    ["torch", "peft", "torch.distributed.fsdp", "transformers.models.llama.modeling_llama", "iterdeploy.training.fit"]
)


def settings(**changes: Any) -> TrainingConfig:
    return TrainingConfig(
        **{**TINY["training"], "bf16": False, "validation_share": 0.2, "tokens_per_batch": 100, **changes}
    )


def phase(rows: Sequence[Example] = ROWS, **changes: Any) -> Phase:
    return Phase(settings(**changes), CONFIG.model, 5, BASE, 1, TrainingExamples(rows, "digest"))


def quiet(done: int, total: int) -> None:
    pass


def weights(folder: Path) -> dict[str, Any]:
    from safetensors.torch import load_file

    (path,) = folder.glob("*.safetensors")
    return dict(load_file(path))


def assert_same_weights(one: Path, other: Path) -> None:
    first, second = weights(one), weights(other)
    assert first.keys() == second.keys()
    for name, value in first.items():
        assert value.equal(second[name]), name


def report(folder: Path) -> dict[str, Any]:
    values: dict[str, Any] = json.loads((folder / "training.json").read_text())
    return values


def train_in_stage(how: dict[str, Any], path: Path, die_after: int | None = None) -> Path:
    """Trains in a stage of a run; dies without warning when that many steps are done and saved."""
    what = phase(checkpoint_minutes=0.0, **how)
    calls = 0

    def progress(done: int, total: int) -> None:
        nonlocal calls
        calls += 1
        if calls - 2 == die_after:
            os.kill(os.getpid(), signal.SIGKILL)

    return Stage(path).folder("policy", lambda out: GradientTrainer(what.config, CONFIG.model, 5).fit(
        BASE, 1, what.pool, out, progress))  # fmt: skip


def killed_after(steps: int, how: dict[str, Any], path: Path) -> None:
    process = forks.Process(target=train_in_stage, args=(how, path, steps))
    process.start()
    process.join(300)
    assert process.exitcode == -signal.SIGKILL
