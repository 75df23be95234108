"""The state of a training phase on the disk, so that an interrupted one goes on and ends with the same weights.

    OUT/checkpoint-120/
      weights.safetensors   what is trained: all weights, or the adapter's
      state.pt              optimiser, schedule, random numbers of every process, and how far training was
      policy.txt            the identifier of the policy that is being trained
      SHA256SUMS            the digests of these files

A checkpoint is written under a temporary name, synced and renamed; then the one before it goes. One that is not as
it was written is as good as none: training begins again, and ends with the same weights. The first process writes
checkpoints, and their tensors are whole, however many processes hold them in training.
"""

import logging
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from iterdeploy.record.files import UNFINISHED, Held, RunDirError, remove, sync, sync_all
from iterdeploy.record.seals import SUMS, check_sums, write_sums
from iterdeploy.training.parallel import load_optimiser, part, whole, whole_optimiser
from iterdeploy.training.ranks import Ranks

if TYPE_CHECKING:
    import torch

log = logging.getLogger(__name__)


@dataclass
class Trained:
    """How far a phase is, and what it will report. What is done follows from the lengths of these lists."""

    log: list[dict[str, float]] = field(default_factory=list)
    """One entry per optimiser step."""
    validation: list[float | None] = field(default_factory=list)
    """The loss on the held-out examples before training and after every epoch that is finished."""
    importance: list[dict[str, float]] = field(default_factory=list)
    """One entry per epoch that has begun, where traces count by their importance."""
    tokens: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class TrainState:
    """All that an optimiser step changes, besides random numbers."""

    weights: "dict[str, torch.nn.Parameter]"
    optimiser: "torch.optim.Optimizer"
    schedule: "torch.optim.lr_scheduler.LRScheduler"


class Checkpoints:
    def __init__(self, out: Path, policy: str, minutes: float, ranks: Ranks) -> None:
        self.place = Held(out)
        self._policy = policy
        self._seconds = 60 * minutes
        self._ranks = ranks
        self._saved_at = time.monotonic()

    def restore(self, parts: TrainState) -> Trained | None:
        """Puts the parts into the newest state that was saved of this policy; None, with nothing changed, if there is
        none. All other checkpoints are taken away."""
        newest: Path | None = self._ranks.gather(self._newest() if self._ranks.first else None)[0]
        trained = self._read(newest, parts) if newest else None
        self._ranks.gather(None)  # nobody looks at what is taken away now
        if self._ranks.first:
            self._remove(folder for folder in self._found() if folder != newest)
        return trained

    def _newest(self) -> Path | None:
        """The newest whole checkpoint of this policy."""
        for folder in self._found():
            try:
                check_sums(folder)
            except RunDirError as error:
                log.warning("this checkpoint is left out: %s", error)
                continue
            if (folder / SUMS).exists() and (folder / "policy.txt").read_text() == self._policy:
                return folder
        return None

    def _read(self, folder: Path, parts: TrainState) -> Trained:
        import torch
        from safetensors import safe_open

        with torch.no_grad(), safe_open(folder / "weights.safetensors", "pt") as saved:
            for name, parameter in parts.weights.items():
                parameter.copy_(part(saved.get_tensor(name), parameter))
        state = torch.load(folder / "state.pt", map_location="cpu", weights_only=True)
        load_optimiser(parts.optimiser, state["optimiser"])
        parts.schedule.load_state_dict(state["schedule"])
        _set_random_state(state["random"][self._ranks.rank])
        return Trained(**state["trained"])

    def save_if_due(self, parts: TrainState, trained: Trained) -> None:
        if not any(self._ranks.gather(time.monotonic() - self._saved_at >= self._seconds)):
            return
        weights = {name: whole(parameter, self._ranks).contiguous() for name, parameter in parts.weights.items()}
        state = {
            "optimiser": whole_optimiser(parts.optimiser, self._ranks),
            "schedule": parts.schedule.state_dict(),
            "random": self._ranks.gather(_random_state()),
            "trained": asdict(trained),
        }
        if self._ranks.first:
            self._write(weights, state, len(trained.log))
        self._saved_at = time.monotonic()

    def clear(self) -> None:
        """Takes all checkpoints away: training is finished."""
        if self._ranks.first:
            self._remove(self._found())
        self.place.close()

    def _found(self) -> list[Path]:
        """Newest first."""
        by_steps = {folder.name.partition("-")[2]: folder for folder in self.place.path.glob("checkpoint-*/")}
        return [by_steps[steps] for steps in sorted(filter(str.isdecimal, by_steps), key=int, reverse=True)]

    def _remove(self, folders: Iterable[Path]) -> None:
        self.place.check()
        for folder in folders:
            remove(folder)

    def _write(self, weights: "dict[str, torch.Tensor]", state: dict[str, Any], steps: int) -> None:
        import torch
        from safetensors.torch import save_file

        self.place.check()
        before = self._found()
        unfinished = self.place.path / f"{UNFINISHED}checkpoint"
        remove(unfinished)
        unfinished.mkdir()
        save_file(weights, unfinished / "weights.safetensors")
        with (unfinished / "state.pt").open("wb") as file:  # opened here: the system then says that a disk is full
            torch.save(state, file)
        (unfinished / "policy.txt").write_text(self._policy)
        write_sums(unfinished)
        sync_all(unfinished)
        self.place.check()
        unfinished.rename(self.place.path / f"checkpoint-{steps}")
        sync(self.place.path)
        self._remove(before)


def _random_state() -> "dict[str, torch.Tensor]":
    import torch

    state = {"cpu": torch.get_rng_state()}
    return state | ({"cuda": torch.cuda.get_rng_state()} if torch.cuda.is_available() else {})


def _set_random_state(state: "dict[str, torch.Tensor]") -> None:
    import torch

    torch.set_rng_state(state["cpu"])
    if "cuda" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda"])
