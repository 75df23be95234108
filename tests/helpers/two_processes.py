"""Two workers of a training, in processes that have everything imported already."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from helpers.fitting import forks, phase
from iterdeploy.training import fit as fitting
from iterdeploy.training import forward as forward_module
from iterdeploy.training.fit import fit
from iterdeploy.training.ranks import Ranks


def place(rank: int) -> dict[str, str]:
    """The environment variables by which a process, and `accelerate` in it, knows its place among two."""
    return {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}


def one_of_two(rank: int, folder: Path, how: dict[str, Any], pieces: int) -> None:
    """Trains as a worker does, and writes down how many numbers this process held of each weight and its gradient and
    optimiser state."""
    import torch
    from torch import distributed

    torch.set_num_threads(1)
    os.environ.update(place(rank), OMP_NUM_THREADS="1")
    meeting = f"file://{folder}/meeting"
    distributed.init_process_group("gloo", init_method=meeting, rank=rank, world_size=2)
    held: dict[str, Any] = {}
    seen: dict[str, Any] = {}

    def parts(model: Any, *rest: Any) -> Any:
        seen.update(model=model, parts=make_parts(model, *rest))
        return seen["parts"]

    def clip(parameters: Any, most: float) -> float:
        held["gradients"] = dict(zip(seen["parts"].weights, (numbers(one.grad) for one in parameters), strict=True))
        return clip_norm(parameters, most)

    def progress(done: int, total: int) -> None:
        held["weights"] = {name: numbers(one) for name, one in seen["model"].named_parameters()}
        states = seen["parts"].optimiser.state
        held["states"] = {
            name: numbers(states[one]["exp_avg"]) for name, one in seen["parts"].weights.items() if one in states
        }

    make_parts, clip_norm = fitting._parts, fitting.clip
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fitting, "_parts", parts)
        patch.setattr(fitting, "clip", clip)
        patch.setattr(forward_module, "LOGITS_AT_ONCE", pieces)
        fit(phase(**how), folder, progress, Ranks(rank, 2))
    (folder / f"held-{rank}.json").write_text(json.dumps(held))
    distributed.destroy_process_group()


def numbers(tensor: Any) -> int:
    return int((tensor.to_local() if hasattr(tensor, "to_local") else tensor).numel())


def train_as_two(folder: Path, how: dict[str, Any], pieces: int = 2**24) -> Path:
    """What two workers do, in processes that have everything imported already."""
    folder.mkdir(exist_ok=True)
    two = [forks.Process(target=one_of_two, args=(rank, folder, how, pieces)) for rank in range(2)]
    for process in two:
        process.start()
    for process in two:
        process.join(300)
        assert process.exitcode == 0
    return folder
