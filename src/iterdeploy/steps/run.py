"""A run that is going on: its folder, what it is made of, and who watches it. Steps take it as one argument."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from iterdeploy.config import RunConfig
from iterdeploy.curation.policies import Keep
from iterdeploy.models.threads import settle
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

    @contextmanager
    def generation(self, number: int) -> Iterator[None]:
        """Around the work on a generation. Its time is stored and it is shown, unless it was finished before."""
        self.clock.generation = number
        finished = self.folder.finished(number)
        if not finished:
            self.settle_threads()
        try:
            yield
        except Exception:
            self.folder.files.check_place()  # whatever failed, it did because the folder went away
            raise
        if not finished:
            self.store.add_seconds(self.clock.take())
            self.display.generation(self.folder)

    def settle_threads(self) -> None:
        """Has PyTorch use as many threads as the run began with, which are found out now if it begins."""
        known = self.folder.noted("threads")
        settled = settle(self.config.model, Path(self.components.base.base_model), known)
        if settled is not None and known is None:
            self.folder.note("threads", settled)

    def stage(self, generation: int) -> Stage:
        """The outputs of a generation."""
        return self.folder.generation(generation)

    def policy(self, generation: int) -> Policy:
        """The policy of a generation, which must be there."""
        base = self.components.base
        if not generation:
            return base
        policy = read_policy(self.folder.policy(generation))
        # On another machine the base model may lie elsewhere than where the policy was trained.
        return policy if Path(policy.base_model).is_dir() else replace(policy, base_model=base.base_model)
