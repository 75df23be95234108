"""Training in several processes, one per GPU: `fit_in_workers` starts them, and as a program this is one of them.

    python -m iterdeploy.training.worker OUT

reads the phase from OUT/workers/phase.json and its place among the others from RANK and WORLD_SIZE. The processes find
each other by a file, not by a port. A worker ends when the process that started it does, however that ends.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

from iterdeploy.config import ModelConfig, TrainingConfig
from iterdeploy.sections import UserError
from iterdeploy.training.examples import StoredExamples
from iterdeploy.training.fit import fit
from iterdeploy.training.phase import Phase, Progress, TrainingError, TrainingExamples
from iterdeploy.training.ranks import Ranks
from iterdeploy.types import Example, Policy
from iterdeploy.wording import show_warnings

FAILED = 3
"""Exit status of a worker that has said why."""
FAILURE = "failure "
"""Begins the line in which it does."""


def fit_in_workers(phase: Phase, out: Path, progress: Progress) -> None:
    """`fit` in as many processes as the configuration says."""
    folder = out / "workers"
    _empty(folder)
    (folder / "phase.json").write_text(written(phase), encoding="utf-8")
    workers = [_start(out, rank, phase) for rank in range(phase.config.processes)]
    failures: list[Exception] = []
    relays = [threading.Thread(target=_relay, args=(worker.stdout, progress, failures)) for worker in workers]
    for relay in relays:
        relay.start()
    try:
        while any(worker.poll() is None for worker in workers):
            if any(worker.returncode for worker in workers):
                break
            time.sleep(0.05)
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()
        for relay in relays:
            relay.join()
    _raise_failure(failures, [worker.returncode for worker in workers])
    _empty(folder)
    folder.rmdir()


def place(rank: int, world: int) -> dict[str, str]:
    """The environment variables by which a process, and `accelerate` in it, knows its place among the others."""
    return {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(world), "LOCAL_WORLD_SIZE": str(world)}


def _start(out: Path, rank: int, phase: Phase) -> "subprocess.Popen[str]":
    import torch

    hidden = {"CUDA_VISIBLE_DEVICES": ""} if phase.model.device == "cpu" else {}  # FSDP takes any GPU that it sees
    threads = {"OMP_NUM_THREADS": str(phase.model.threads or torch.get_num_threads())}
    return subprocess.Popen(
        [sys.executable, "-m", "iterdeploy.training.worker", str(out)],
        env={**os.environ, **place(rank, phase.config.processes), **hidden, **threads},
        stdin=subprocess.PIPE,  # never written to: it closes when this process ends
        stdout=subprocess.PIPE,
        text=True,
    )


def _relay(lines: IO[str], progress: Progress, failures: list[Exception]) -> None:
    for line in lines:
        if line.startswith(FAILURE):
            failures.append(_raised(json.loads(line.removeprefix(FAILURE))))
        match line.split():
            case ["tokens", done, total]:
                progress(int(done), int(total))


def _told(error: BaseException) -> dict[str, Any]:
    """What went wrong in a worker as JSON, with what that came from."""
    before = error.__cause__ or error.__context__
    return {
        "kind": "UserError" if isinstance(error, UserError) else type(error).__name__,
        "said": str(error),
        "number": error.errno if isinstance(error, OSError) else None,
        "file": error.filename if isinstance(error, OSError) else None,
        "trace": traceback.format_exc(),
        "before": before and _told(before),
    }


def _raised(told: dict[str, Any]) -> Exception:
    """The same as if it had gone wrong in this process."""
    error: Exception
    match told["kind"]:
        case "UserError":
            error = TrainingError(told["said"])
        case "MemoryError":
            error = MemoryError(told["said"])
        case _ if told["number"] is not None:
            error = OSError(told["number"], os.strerror(told["number"]), told["file"])
        case kind:
            error = RuntimeError(f"{kind}: {told['said']}")
    error.__cause__ = _raised(told["before"]) if told["before"] else None
    error.add_note(told["trace"])
    return error


def _raise_failure(failures: list[Exception], statuses: list[int]) -> None:
    if failures:
        raise failures[0]
    if any(statuses):
        ended = ", ".join(map(str, statuses))
        raise TrainingError(f"a training process failed (exit statuses {ended}); what it said of it is above")


def _empty(folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    for path in folder.iterdir():
        path.unlink()


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


def _end_with_parent() -> None:
    sys.stdin.read()
    os._exit(1)


def main(out: Path) -> int:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    show_warnings()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that started this one
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
            print("tokens", done, total, flush=True)

    try:
        fit(phase, out, progress, ranks)
    except Exception as error:  # the process that started this one says what it means
        print(f"{FAILURE}{json.dumps(_told(error))}", flush=True)
        os._exit(FAILED)  # without waiting for the others, which wait for this one
    distributed.destroy_process_group()
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
