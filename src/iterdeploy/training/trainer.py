"""The trainer that a run holds: it says what a generation's training starts from, and trains it, here or in workers."""

from importlib.util import find_spec
from pathlib import Path

from iterdeploy.config import ConfigError, ModelConfig, TrainingConfig
from iterdeploy.training.fit import fit
from iterdeploy.training.phase import Phase, Pooled, Progress, TrainingError, read_policy, split_validation
from iterdeploy.training.ranks import Ranks
from iterdeploy.training.worker import fit_in_workers
from iterdeploy.types import Policy


class Trainer:
    def __init__(self, config: TrainingConfig, model: ModelConfig, seed: int) -> None:
        if config.processes > 1 and find_spec("accelerate") is None:
            raise ConfigError(f"training.processes = {config.processes} needs accelerate: pip install accelerate")
        self._config = config
        self._model = model
        self._seed = seed

    def start(self, base: Policy, previous: Policy) -> Policy:
        """The policy whose weights training starts from."""
        return base if self._config.start_from == "base" else previous

    def fit(self, start: Policy, generation: int, pool: Pooled, out: Path, progress: Progress) -> None:
        """Trains and writes weights (or an adapter), `policy.json` and `training.json` into `out`.

        Goes on from a checkpoint of the same policy that an interrupted call left there.
        """
        phase = Phase(self._config, self._model, self._seed, start, generation, pool)
        if self._config.processes == 1:
            fit(phase, out, progress, Ranks())
        else:
            fit_in_workers(phase, out, progress)


__all__ = ["Pooled", "Trainer", "TrainingError", "read_policy", "split_validation"]
