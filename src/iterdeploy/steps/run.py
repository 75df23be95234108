"""A run that is going on: its folder, what it is made of, and who watches it. Steps take it as one argument."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Protocol

from iterdeploy.config import RunConfig
from iterdeploy.curation.policies import Keep
from iterdeploy.record.measurements import Measurements
from iterdeploy.record.run_dir import RunDir, Stage
from iterdeploy.record.store import TraceStore
from iterdeploy.samplers import Sampler
from iterdeploy.steps.clock import Clock
from iterdeploy.steps.components import Components
from iterdeploy.tasks import TaskSet
from iterdeploy.training.trainer import Trainer, read_policy
from iterdeploy.types import Policy, Task, Trace

Progress = Callable[[int, int], None]
"""Called with (done, total)."""


class Display(Protocol):
    """Who watches a run."""

    def bar(self, title: str, unit: str) -> AbstractContextManager[Progress]:
        """Shows the progress of work that is counted in `unit`."""
        ...

    def generation(self, folder: RunDir) -> None:
        """A generation is done."""
        ...


class Shelf(Protocol):
    """Where answers are kept, under keys (task id, generation, sample index)."""

    def keys(self, generation: int) -> set[tuple[str, int, int]]: ...

    def add(self, tasks: Mapping[str, Task], traces: Iterable[Trace], seconds: Mapping[tuple[int, str], float]) -> None:
        """All or nothing."""
        ...

    def verdict_counts(self) -> dict[int, dict[str, int]]:
        """Generation -> status -> answers."""
        ...


@dataclass(frozen=True, slots=True)
class Run:
    folder: RunDir
    components: Components
    display: Display
    measures: bool = False
    """Its answers only measure, and are kept apart from the traces."""

    def measuring(self, temperature: float) -> "Run":
        """The same run, asked at a temperature only to measure."""
        config = self.config
        sampling = config.sampling.model_copy(update={"temperature": temperature})
        components = replace(self.components, config=config.model_copy(update={"sampling": sampling}))
        return replace(self, components=components, measures=True)

    @property
    def config(self) -> RunConfig:
        return self.components.config

    @property
    def store(self) -> TraceStore:
        return self.folder.store

    @property
    def shelf(self) -> Shelf:
        """Where answers go."""
        return Measurements(self.store, self.config.sampling.temperature) if self.measures else self.store

    @property
    def tasks(self) -> TaskSet:
        return self.components.tasks

    @property
    def curation(self) -> Keep:
        return self.components.curation

    @property
    def trainer(self) -> Trainer:
        return self.components.trainer

    @property
    def clock(self) -> Clock:
        return self.components.clock

    def sampler(self, policy: Policy) -> Sampler:
        return self.components.sampler(policy)

    def stage(self, generation: int) -> Stage:
        """The outputs of a generation."""
        return self.folder.generation(generation)

    def policy(self, generation: int) -> Policy:
        """The policy of a generation, which must be there."""
        return read_policy(self.folder.policy(generation)) if generation else self.components.base
