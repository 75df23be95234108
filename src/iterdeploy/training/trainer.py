"""The trainer that a run holds: it says what a generation's training starts from, and trains it, here or in workers."""

from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

from iterdeploy import registry
from iterdeploy.config import ModelConfig, RunConfig, TrainingConfig
from iterdeploy.config_sampling import ClusterConfig
from iterdeploy.sections import ConfigError
from iterdeploy.training.fit import fit
from iterdeploy.training.launch import fit_in_workers
from iterdeploy.training.on_cluster import fit_on_cluster
from iterdeploy.training.phase import Phase, Progress, TrainingError, TrainingExamples, read_policy, split_validation
from iterdeploy.training.ranks import Ranks
from iterdeploy.types import Policy

HERE = ClusterConfig()


class Trainer(Protocol):
    """Makes the policy of the next generation. Your own is a class of this form, made of the run's configuration."""

    def start(self, base: Policy, previous: Policy) -> Policy:
        """The policy whose weights training starts from."""
        ...

    def fit(self, start: Policy, generation: int, pool: TrainingExamples, out: Path, progress: Progress) -> None:
        """Trains and writes weights (or an adapter), `policy.json` and `training.json` into `out`.

        Goes on from a checkpoint of the same policy that an interrupted call left there.
        """
        ...


class GradientTrainer:
    """The package's own: AdamW on all weights or on a LoRA adapter, in this process, in several or on a cluster."""

    def __init__(self, config: TrainingConfig, model: ModelConfig, seed: int, cluster: ClusterConfig = HERE) -> None:
        if config.processes > 1 and find_spec("accelerate") is None:
            raise ConfigError(f"training.processes = {config.processes} needs accelerate: pip install accelerate")
        self._config = config
        self._model = model
        self._seed = seed
        self._cluster = cluster

    @classmethod
    def of(cls, config: RunConfig) -> "GradientTrainer":
        return cls(config.training, config.model, config.seed, config.cluster)

    def start(self, base: Policy, previous: Policy) -> Policy:
        """The policy whose weights training starts from."""
        return base if self._config.start_from == "base" else previous

    def fit(self, start: Policy, generation: int, pool: TrainingExamples, out: Path, progress: Progress) -> None:
        """Trains and writes weights (or an adapter), `policy.json` and `training.json` into `out`.

        Goes on from a checkpoint of the same policy that an interrupted call left there.
        """
        phase = Phase(self._config, self._model, self._seed, start, generation, pool)
        if self._cluster.engine == "ray":
            fit_on_cluster(phase, out, progress, self._cluster)
        elif self._config.processes == 1:
            fit(phase, out, progress, Ranks())
        else:
            fit_in_workers(phase, out, progress)


TRAINERS = {"iterdeploy": "iterdeploy.training.trainer:GradientTrainer.of"}


def make_trainer(config: RunConfig) -> Trainer:
    """The trainer that the configuration names. ConfigError if it cannot be made."""
    kind = registry.find(config.training.trainer, TRAINERS, "iterdeploy.trainers", "training.trainer")
    registry.options(kind, config.training.options, "training.options")
    trainer: Trainer = kind(config)
    return trainer


__all__ = [
    "GradientTrainer",
    "Trainer",
    "TrainingError",
    "TrainingExamples",
    "make_trainer",
    "read_policy",
    "split_validation",
]
