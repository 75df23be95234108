"""Training on a node of a cluster: the same training, whose weights come back as files.

Its checkpoints come as well, while it goes on, and lie where those of a training on this machine would. So a node that
dies costs what it did since the last one, on whichever node training then goes on, and so does this process.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from iterdeploy.cluster.connection import connected
from iterdeploy.cluster.crew import Making, Process
from iterdeploy.cluster.parcels import Files, PolicyParcel, contents, digest, packed, write
from iterdeploy.cluster.placement import training_shape
from iterdeploy.config_sampling import ClusterConfig
from iterdeploy.record.files import UNFINISHED, Held, remove, sync, sync_all
from iterdeploy.training.fit import fit
from iterdeploy.training.launch import fit_in_workers
from iterdeploy.training.phase import Phase, Progress, TrainingExamples
from iterdeploy.training.ranks import Ranks

CHECKPOINT = "checkpoint-"


@dataclass(frozen=True, slots=True)
class Sent:
    files: Files
    digests: Mapping[str, str]

    @classmethod
    def of(cls, files: Files) -> "Sent":
        return cls(files, {name: digest(content) for name, content in files.items()})

    def write(self, folder: Path) -> None:
        write(folder, self.files, self.digests)


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a training is."""

    done: int
    total: int
    """Tokens."""
    checkpoint: str
    """Name of the newest one."""
    files: Sent | None
    """Its files, unless they are known."""


class TrainingOnNode:
    def __init__(self, phase: Phase, parcel: PolicyParcel, checkpoints: Sent) -> None:
        self._phase = phase
        self._parcel = parcel
        self._checkpoints = checkpoints
        self._out: Path | None = None
        self._done = 0, 0

    def train(self) -> Sent:
        """What was written, with the folders called as they are where it goes to."""
        with TemporaryDirectory(prefix="iterdeploy-") as folder:
            out = Path(folder) / "out"
            out.mkdir()
            self._checkpoints.write(out)
            start = self._parcel.unpack(Path(folder))
            phase, self._out = replace(self._phase, start=start), out
            try:
                if phase.config.processes == 1:
                    fit(phase, out, self._progress, Ranks())
                else:
                    fit_in_workers(phase, out, self._progress)
            finally:
                self._out = None
            here, there = start.base_model.encode(), self._phase.start.base_model.encode()
            made = contents(out)
        return Sent.of(
            {name: made[name].replace(here, there) if name.endswith(".json") else made[name] for name in made}
        )

    def standing(self, known: str) -> Standing:
        """`known`: name of the newest checkpoint that has been sent."""
        found = sorted(self._out.glob(f"{CHECKPOINT}*"), key=_steps) if self._out else []
        name, files = found[-1].name if found else known, None
        if name != known:
            try:
                files = Sent.of(contents(found[-1]))
            except FileNotFoundError:  # a newer one has taken its place
                name = known
        return Standing(*self._done, name, files)

    def _progress(self, done: int, total: int) -> None:
        self._done = done, total


def fit_on_cluster(phase: Phase, out: Path, progress: Progress, config: ClusterConfig) -> None:
    """`fit` on a node of the cluster. Raises what stopped it."""
    import torch

    model = phase.model.model_copy(update={"threads": phase.model.threads or torch.get_num_threads()})
    sent = replace(phase, model=model, pool=TrainingExamples(list(phase.pool.examples), phase.pool.digest))
    place = Held(out)

    def making() -> Making:
        saved = Sent.of({name: content for name, content in contents(out).items() if name.startswith(CHECKPOINT)})
        return TrainingOnNode, sent, packed(phase.start), saved

    def watch(process: Process) -> None:
        standing = _standing(process, _newest(out))
        if standing is not None:
            if standing.total:
                progress(standing.done, standing.total)
            if standing.files is not None:
                place.check()
                _keep(out, standing.checkpoint, standing.files)

    with connected(config) as crew:
        ((_, made),) = crew.done([("train",)], making, training_shape(config), 1, watch)
    place.check()
    for folder in out.glob(f"{CHECKPOINT}*"):
        remove(folder)
    made.write(out)
    place.close()


def _standing(process: Process, known: str) -> Standing | None:
    """None where it does not say so in time; whether it is lost is seen elsewhere."""
    from ray.exceptions import RayActorError

    try:
        standing: Any = process.ask("call", "standing", known).result(timeout=30)
    except (TimeoutError, RayActorError):
        return None
    assert isinstance(standing, Standing)
    return standing


def _newest(out: Path) -> str:
    found = sorted(out.glob(f"{CHECKPOINT}*"), key=_steps)
    return found[-1].name if found else ""


def _steps(folder: Path) -> int:
    return int(folder.name.removeprefix(CHECKPOINT))


def _keep(out: Path, name: str, files: Sent) -> None:
    """Under a temporary name first, as `training.checkpoints` does."""
    before = list(out.glob(f"{CHECKPOINT}*"))
    unfinished = out / f"{UNFINISHED}checkpoint"
    remove(unfinished)
    unfinished.mkdir()
    files.write(unfinished)
    sync_all(unfinished)
    unfinished.rename(out / name)
    sync(out)
    for folder in before:
        remove(folder)
