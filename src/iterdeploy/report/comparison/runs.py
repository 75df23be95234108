"""Runs side by side. Runs equal but for seed and description are one arm: its curves are means over the seeds."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from iterdeploy.audit.records import AUDIT, Audit
from iterdeploy.config import RunConfig
from iterdeploy.metrics import seeds
from iterdeploy.metrics.frontier import Frontier, frontier_of
from iterdeploy.metrics.paired import Paired
from iterdeploy.metrics.records import Metrics, Point
from iterdeploy.metrics.results import TaskResult
from iterdeploy.models.pretrained import pretraining_of
from iterdeploy.record.counts import Counts, count
from iterdeploy.record.run_dir import RunDir
from iterdeploy.report.facts import contents
from iterdeploy.report.facts.contents import SeenSizes
from iterdeploy.sections import UserError
from iterdeploy.theory.records import THEORY, Theory


class CompareError(UserError):
    """These runs cannot be compared."""


Wanted = Callable[["Run", TaskResult], bool]
"""Whether a run's task belongs to what is asked about."""


@dataclass(frozen=True, slots=True)
class Run:
    name: str
    config: RunConfig
    metrics: Sequence[Metrics]
    counts: Counts
    seen_sizes: SeenSizes
    """Task sizes of the base model's pretraining; none where nobody says."""
    audit: Audit | None
    theory: Theory | None

    def tasks(self, generation: int, split: str) -> Sequence[TaskResult]:
        return self.counts.tasks.get((generation, split), ())


@dataclass(frozen=True, slots=True)
class Arm:
    """The seeds of one configuration."""

    title: str
    runs: Sequence[Run]

    @property
    def generations(self) -> range:
        """The generations that every seed has measured."""
        return range(min(len(run.metrics) for run in self.runs))

    @property
    def last(self) -> int:
        return self.generations[-1]

    def coverage(self, split: str, wanted: Wanted = lambda run, task: True) -> dict[int, Point]:
        """Generation -> coverage of the tasks that are wanted."""
        found = {generation: self.coverage_at(generation, split, wanted) for generation in self.generations}
        return {generation: point for generation, point in found.items() if point is not None}

    def coverage_at(self, generation: int, split: str, wanted: Wanted) -> Point | None:
        return seeds.coverage(self._tasks(generation, split, wanted))

    def mean(self, read: Callable[[Metrics], float | None]) -> dict[int, Point]:
        """Generation -> mean over the seeds of a number of its metrics; without generations where a seed has none."""
        out = {}
        for generation in self.generations:
            values = [value for run in self.runs if (value := read(run.metrics[generation])) is not None]
            if len(values) == len(self.runs) and (point := seeds.mean(values)) is not None:
                out[generation] = point
        return out

    def ratio(self, split: str, wanted: Wanted = lambda run, task: True) -> Point | None:
        """The last generation's coverage of the tasks that are wanted by that of generation 0."""
        return seeds.ratio(*(self._tasks(generation, split, wanted) for generation in (0, self.last)))

    def change(self, split: str) -> Paired | None:
        """The last generation's coverage less that of generation 0; None where they were not asked the same tasks."""
        return seeds.difference(
            *(self._tasks(generation, split, lambda run, task: True) for generation in (0, self.last))
        )

    def frontiers(self, split: str) -> dict[int, dict[str, Frontier]]:
        """Generation -> domain -> the frontier of all seeds together."""
        domains = sorted({domain for run in self.runs for domain in run.counts.domains})
        found = {g: {domain: self._frontier(g, split, domain) for domain in domains} for g in self.generations}
        return {g: {domain: one for domain, one in by.items() if one is not None} for g, by in found.items()}

    def _frontier(self, generation: int, split: str, domain: str) -> Frontier | None:
        tasks = self._tasks(generation, split, lambda run, task: task.domain == domain)
        sizes = sorted({task.size for rows in tasks for task in rows})
        found = {
            size: seeds.coverage([[task for task in rows if task.size == size] for rows in tasks]) for size in sizes
        }
        return frontier_of({size: point for size, point in found.items() if point is not None})

    def _tasks(self, generation: int, split: str, wanted: Wanted) -> list[list[TaskResult]]:
        """The results of each seed."""
        return [[task for task in run.tasks(generation, split) if wanted(run, task)] for run in self.runs]


@dataclass(frozen=True, slots=True)
class Comparison:
    arms: Sequence[Arm]
    split: str
    """The split that tells what the models can do: held-out where every run has such tasks."""
    margin: float | None = None
    """A difference of coverage that would not matter; None: nothing is said to be equivalent."""

    @property
    def last(self) -> int:
        """The last generation that all arms have."""
        return min(arm.last for arm in self.arms)


def read_run(run_dir: RunDir, name: str = "") -> Run:
    """`name`: what the page calls it; the folder's where nothing is given."""
    config, metrics = run_dir.config, run_dir.metrics()
    return Run(
        name=name or run_dir.path.name,
        config=config,
        metrics=metrics,
        counts=count(run_dir.store, len(metrics)),
        seen_sizes=pretraining_of(config.model.name).sizes,
        audit=AUDIT.read(run_dir.files.find("audit.json")),
        theory=THEORY.read(run_dir.files.find("theory.json")),
    )


def compare(runs: Sequence[Run], margin: float | None = None) -> Comparison:
    """The runs as arms, in the order in which they are given. Every run has measured something. CompareError where one
    seed of a configuration is given twice: a copy says nothing of what another seed would do."""
    arms: list[list[Run]] = []
    for run in runs:
        for arm in arms:
            if not differences(arm[0], run):
                if same := [other.name for other in arm if other.config.seed == run.config.seed]:
                    raise CompareError(
                        f"{same[0]} and {run.name} have the same configuration and seed {run.config.seed}: they are "
                        "one run twice, not two seeds; name one of them"
                    )
                arm.append(run)
                break
        else:
            arms.append([run])
    split = "held_out" if all(run.metrics[0].held_out for run in runs) else "deployed"
    titles = [_title(arm) for arm in arms]
    listed = [", ".join(run.name for run in arm) for arm in arms]
    unique = titles if len(set(titles)) == len(titles) else listed
    return Comparison([Arm(title, arm) for title, arm in zip(unique, arms, strict=True)], split, margin)


def differences(first: Run, other: Run) -> list[str]:
    """Of every key in which two configurations differ, but for seed and description: its name."""
    lines = first.config.differences(other.config.model_copy(update={"seed": first.config.seed}))
    keys = [line.partition(":")[0] for line in lines]
    return [key for key in keys if key != "description"]


def _title(runs: Sequence[Run]) -> str:
    """
    >>> from types import SimpleNamespace as Named
    >>> _title([Named(name="main-0"), Named(name="main-1")])
    'main (2 seeds)'
    """
    if len(runs) == 1:
        return runs[0].name
    first, last = min(run.name for run in runs), max(run.name for run in runs)
    same = next((place for place, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first))
    return f"{first[:same].rstrip('-_. ') or runs[0].name} ({len(runs)} seeds)"


def seen(run: Run, task: TaskResult) -> bool:
    return bool(run.seen_sizes) and not never_seen(run, task)


def never_seen(run: Run, task: TaskResult) -> bool:
    return contents.never_seen(run.seen_sizes, task.domain, task.size)
