"""Training in several processes, one per GPU, which torchrun's agent starts and watches: if one fails, all end.

    python -m iterdeploy.training.launch OUT PROCESSES PARENT

is that agent, in a process of its own, since it takes over signals. It starts the programs `training.worker`, and ends
when its parent does, as they end when it does. The workers find each other by a file: no port is opened. What they
write to standard output comes from one pipe to `fit_in_workers`.
"""

import logging
import os
import signal
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from iterdeploy.parent import end_with_parent
from iterdeploy.training.failure import Failure
from iterdeploy.training.phase import Phase, Progress, TrainingError
from iterdeploy.training.worker import FAILED, FAILURE, TOKENS, say, written

if TYPE_CHECKING:
    from torch.distributed.elastic.multiprocessing.errors import ProcessFailure
    from torch.distributed.launcher.api import LaunchConfig


LOST = 4
"""Exit status of the agent where a process ended without a word, which makes the others fail; the agent spoke last."""


def fit_in_workers(phase: Phase, out: Path, progress: Progress) -> None:
    """`fit` in as many processes as the configuration says. Raises what stopped them."""
    folder = out / "workers"
    _empty(folder)
    (folder / "phase.json").write_text(written(phase), encoding="utf-8")
    with _agent(out, phase) as agent:
        assert agent.stdout is not None
        try:
            failures = _relay(agent.stdout, progress)
        finally:
            agent.terminate()  # it ends the workers
            agent.stdout.read()  # until the last one is gone
    if failures and agent.returncode in (FAILED, LOST):
        raise failures[-1 if agent.returncode == LOST else 0].exception()
    if agent.returncode:
        raise TrainingError(
            f"the process that watches over the training processes ended with status {agent.returncode}; "
            "what it printed is above"
        )
    _empty(folder)
    folder.rmdir()


def _agent(out: Path, phase: Phase) -> "subprocess.Popen[str]":
    import torch

    hidden = {"CUDA_VISIBLE_DEVICES": ""} if phase.model.device == "cpu" else {}  # FSDP takes any GPU that it sees
    threads = {"OMP_NUM_THREADS": str(phase.model.threads or torch.get_num_threads())}
    command = [sys.executable, "-m", "iterdeploy.training.launch", str(out), str(phase.config.processes)]
    return subprocess.Popen(
        [*command, str(os.getpid())],
        env={**os.environ, **hidden, **threads},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,  # Ctrl-C is for this process, which ends the others
    )


def _relay(lines: Iterable[str], progress: Progress) -> list[Failure]:
    """Reports progress until all processes have ended. The failures of those that said why, first one first."""
    failures = []
    for line in lines:
        word, _, rest = line.partition(" ")
        if word == FAILURE:
            failures.append(Failure.read(rest))
        elif word == TOKENS:
            progress(*map(int, rest.split()))
    return failures


def _empty(folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    for path in folder.iterdir():
        path.unlink()


def _launch_config(out: Path, processes: int) -> "LaunchConfig":
    from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs
    from torch.distributed.launcher.api import LaunchConfig

    return LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=processes,
        run_id="training",
        rdzv_backend="c10d",
        rdzv_endpoint=str(out / "workers" / "agents"),
        rdzv_configs={"store_type": "file"},
        local_addr="localhost",
        max_restarts=0,  # a failure is reported; what was saved goes on when the run is resumed
        logs_specs=DefaultLogsSpecs(log_dir=os.devnull),
        signals_to_handle="SIGTERM",
    )


def _lost(rank: int, failure: "ProcessFailure") -> str:
    if failure.exitcode < 0:
        reason = f"was killed ({failure.signal_name()})"
        if failure.signal_name() == "SIGKILL":
            reason += ", as systems do when memory runs out"
    else:
        reason = f"ended with status {failure.exitcode}; what it printed is above"
    return f"training process {rank} {reason}"


def main(out: Path, processes: int, parent: int) -> int:
    end_with_parent(parent)
    from torch.distributed.elastic.multiprocessing import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import elastic_launch

    logging.disable()  # the agent's own words: the parent says what is to be said
    launch = elastic_launch(_launch_config(out, processes), sys.executable)
    try:
        launch("-m", "iterdeploy.training.worker", str(out), str(os.getpid()))
    except ChildFailedError as error:
        ended = {failure.exitcode for failure in error.failures.values()}
        ours = {FAILED, -signal.SIGTERM} if FAILED in ended else set()  # after a failure the agent ends the others
        lost = [_lost(rank, failure) for rank, failure in error.failures.items() if failure.exitcode not in ours]
        if not lost:
            return FAILED
        say(out, FAILURE, Failure.of(TrainingError(lost[0])).line())
        return LOST
    except SignalException:
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))
