"""One function per tracker: opens it, adds lines, closes it. Between generations nothing stays open that could be lost.

Where to and with which key they send follows from each tracker's own environment variables.
"""

from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from time import time
from typing import Any

from iterdeploy.tracking.rows import Row


@dataclass(frozen=True, slots=True)
class Shown:
    """What a tracker is given of a run."""

    path: Path
    id: str
    """Under which the tracker finds the run again."""
    project: str
    config: dict[str, Any]

    @property
    def name(self) -> str:
        return self.path.name


Tracker = Callable[[Shown, Sequence[Row]], None]


def _tensorboard(run: Shown, lines: Sequence[Row]) -> None:
    """Events in RUN/tensorboard: `tensorboard --logdir RUNS`."""
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(run.path / "tensorboard") as writer:
        for line in lines:
            for name, value in _numbers(line).items():
                writer.add_scalar(name, value, _at(line))


def _wandb(run: Shown, lines: Sequence[Row]) -> None:
    """Weights & Biases; its files lie next to the run's own. The command line and the machine are not sent."""
    import wandb

    settings = wandb.Settings(
        console="off", silent=True, disable_git=True, host="-", x_disable_meta=True, x_disable_stats=True
    )
    with wandb.init(
        project=run.project,
        name=run.name,
        id=run.id,
        resume="allow",
        dir=run.path,
        config=run.config,
        settings=settings,
    ) as there:
        there.define_metric("training/*", step_metric="step")
        there.define_metric("generation/*", step_metric="generation")
        for line in lines:
            there.log({**_numbers(line), ("generation" if line["event"] == "generation" else "step"): _at(line)})


def _mlflow(run: Shown, lines: Sequence[Row]) -> None:
    """MLflow, to MLFLOW_TRACKING_URI or else to where MLflow keeps things by default."""
    from mlflow.entities import Metric
    from mlflow.tracking import MlflowClient

    client = MlflowClient()
    found = client.get_experiment_by_name(run.project)
    experiment = found.experiment_id if found else client.create_experiment(run.project)
    mine = client.search_runs([experiment], f"tags.iterdeploy = '{run.id}'")
    there = mine[0] if mine else client.create_run(experiment, run_name=run.name, tags={"iterdeploy": run.id})
    now = int(1000 * time())
    for line in lines:
        client.log_batch(
            there.info.run_id, [Metric(name, value, now, _at(line)) for name, value in _numbers(line).items()]
        )


def _trackio(run: Shown, lines: Sequence[Row]) -> None:
    """trackio, into the folder TRACKIO_DIR or to the server TRACKIO_SERVER_URL. What the machine does is not sent."""
    import trackio as library

    trackio: Any = library  # it has types, but not for all that it offers
    with redirect_stdout(StringIO()):  # where it says where its page is
        trackio.init(
            project=run.project,
            name=f"{run.name}-{run.id}",
            resume="allow",
            config=run.config,
            embed=False,
            auto_log_cpu=False,
            auto_log_gpu=False,
        )
        for line in lines:
            trackio.log({**_numbers(line), "generation": line["generation"]})
        trackio.finish()


TRACKERS: dict[str, Tracker] = {
    "tensorboard": _tensorboard,
    "wandb": _wandb,
    "mlflow": _mlflow,
    "trackio": _trackio,
}
PACKAGES = {name: name for name in TRACKERS}
"""Tracker -> the package that it needs."""


def _numbers(line: Row) -> dict[str, float]:
    """The line's numbers under the names that trackers show: training/loss, generation/deployed.coverage."""
    group = "generation" if line["event"] == "generation" else "training"
    return {f"{group}/{name}": value for name, value in line.items() if name not in ("event", "generation", "step")}


def _at(line: Row) -> int:
    """Where on the horizontal axis a line stands: at its generation, or at its optimiser step."""
    return int(line["generation"] if line["event"] == "generation" else line["step"])
