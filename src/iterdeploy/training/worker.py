"""One of several processes that train together. As a program, which `training.launch` starts:

    python -m iterdeploy.training.worker OUT PARENT

reads the phase from OUT/workers/phase.json and its place among the others from RANK, LOCAL_RANK and WORLD_SIZE.
"""

import fcntl
import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from iterdeploy.config import ModelConfig, TrainingConfig
from iterdeploy.parent import end_with_parent
from iterdeploy.training.examples import StoredExamples
from iterdeploy.training.failure import Failure
from iterdeploy.training.fit import fit
from iterdeploy.training.phase import Phase, TrainingExamples
from iterdeploy.training.ranks import Ranks
from iterdeploy.types import Example, Policy
from iterdeploy.wording import show_warnings

FAILED = 3
"""Exit status of a worker that has said why."""
FAILURE, TOKENS = "failure", "tokens"
"""First words of the lines that workers write to standard output: a `Failure`; tokens trained and tokens in all."""


def say(out: Path, *words: object) -> None:
    """Writes a line to the pipe that the workers share, one at a time: lines of more than 4096 bytes could mix."""
    with (out / "workers" / "phase.json").open() as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        print(*words, flush=True)


def written(phase: Phase) -> str:
    """The phase as the workers read it."""
    values = {
        "config": phase.config.model_dump(mode="json"),
        "model": phase.model.model_dump(mode="json"),
        "seed": phase.seed,
        "start": asdict(phase.start),
        "generation": phase.generation,
        "pool": _pool_written(phase.pool.examples),
        "digest": phase.pool.digest,
    }
    return json.dumps(values)


def _pool_written(examples: Sequence[Example]) -> dict[str, Any]:
    """Of a run's pool its ids alone; each worker reads their tokens from the store itself."""
    if isinstance(examples, StoredExamples):
        return {"store": str(examples.store.absolute()), "weights": dict(examples.weights)}
    return {"examples": [asdict(example) for example in examples]}


def _pool_read(values: Mapping[str, Any]) -> Sequence[Example]:
    if "store" in values:
        return StoredExamples(Path(values["store"]), values["weights"])
    return [
        Example(**{**row, "token_ids": tuple(row["token_ids"]), "spans": tuple(map(tuple, row["spans"]))})
        for row in values["examples"]
    ]


def read(text: str) -> Phase:
    values: dict[str, Any] = json.loads(text)
    return Phase(
        TrainingConfig.model_validate(values["config"]),
        ModelConfig.model_validate(values["model"]),
        values["seed"],
        Policy(**values["start"]),
        values["generation"],
        TrainingExamples(_pool_read(values["pool"]), values["digest"]),
    )


def main(out: Path, parent: int) -> int:
    end_with_parent(parent)
    show_warnings()
    import torch
    from torch import distributed

    from iterdeploy.models.loading import device_of

    folder = out / "workers"
    phase = read((folder / "phase.json").read_text(encoding="utf-8"))
    ranks = Ranks(int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"]))
    backend = "gloo"
    if device_of(phase.model) == "cuda":
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
        backend = "nccl"
    distributed.init_process_group(
        backend, init_method=f"file://{folder.resolve()}/meeting", rank=ranks.rank, world_size=ranks.world
    )

    def progress(done: int, total: int) -> None:
        if ranks.first:
            say(out, TOKENS, done, total)

    try:
        fit(phase, out, progress, ranks)
    except Exception as error:  # the process that started this one says what it means
        say(out, FAILURE, Failure.of(error).line())
        os._exit(FAILED)  # without waiting for the others, which wait for this one
    distributed.destroy_process_group()
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2])))
