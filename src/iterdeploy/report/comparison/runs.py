"""Runs side by side. Runs equal but for seed and description are one arm: its curves are means over the seeds."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from iterdeploy.audit.records import AUDIT, Audit
from iterdeploy.config import RunConfig
from iterdeploy.metrics import seeds
from iterdeploy.metrics.records import Point
from iterdeploy.metrics.results import TaskResult
from iterdeploy.record.counts import Counts, count
from iterdeploy.record.run_dir import RunDir
from iterdeploy.report.drawing.tables import Metrics
from iterdeploy.report.facts import contents
from iterdeploy.report.facts.contents import SeenSizes, pretraining_sizes
from iterdeploy.theory.records import THEORY, Theory

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
        """Those that every seed has measured."""
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

    def _tasks(self, generation: int, split: str, wanted: Wanted) -> list[list[TaskResult]]:
        """Those of each seed."""
        return [[task for task in run.tasks(generation, split) if wanted(run, task)] for run in self.runs]


@dataclass(frozen=True, slots=True)
class Comparison:
    arms: Sequence[Arm]
    split: str
    """The split that tells what the models can do: held-out where every run has such tasks."""


def read_run(run_dir: RunDir) -> Run:
    config, metrics = run_dir.config, run_dir.metrics()
    return Run(
        name=run_dir.path.name,
        config=config,
        metrics=metrics,
        counts=count(run_dir.store, len(metrics)),
        seen_sizes=pretraining_sizes(config.model.name),
        audit=AUDIT.read(run_dir.files.find("audit.json")),
        theory=THEORY.read(run_dir.files.find("theory.json")),
    )


def compare(runs: Sequence[Run]) -> Comparison:
    """The runs as arms, in the order in which they are given. Every run has measured something."""
    arms: list[list[Run]] = []
    for run in runs:
        for arm in arms:
            if not differences(arm[0], run):
                arm.append(run)
                break
        else:
            arms.append([run])
    split = "held_out" if all(run.metrics[0]["held_out"] for run in runs) else "deployed"
    return Comparison([Arm(_title(arm), arm) for arm in arms], split)


def differences(first: Run, other: Run) -> list[str]:
    """Of every key in which two configurations differ, but for seed and description: its name."""
    told = first.config.differences(other.config.model_copy(update={"seed": first.config.seed}))
    keys = [line.partition(":")[0] for line in told]
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


def sentence(comparison: Comparison) -> str:
    """Which arm is best in the last generation that all have, and from which it can be told apart."""
    last = min(arm.last for arm in comparison.arms)
    found = {arm.title: arm.coverage(comparison.split)[last] for arm in comparison.arms}
    title, best = max(found.items(), key=lambda item: item[1].value)
    what = f"{comparison.split.replace('_', '-')} coverage"
    if len(found) == 1:
        return f"In generation {last}, {title} has a {what} of {told(best)}."
    beaten = [name for name, one in found.items() if (one.high or 0.0) < (best.low or 0.0)]
    level = [name for name in found if name not in beaten and name != title]
    says = f"In generation {last}, {title} has the highest {what}, {told(best)}"
    if not level:
        return f"{says}; its 95% interval lies above those of all others."
    overlap = f"its 95% interval overlaps with {_listed(level)}, so no difference from {_it(level)} can be claimed"
    return f"{says}; {overlap}." if not beaten else f"{says}: above {_listed(beaten)}, but {overlap}."


def told(point: Point) -> str:
    """
    >>> told(Point(0.5, 0.25, 0.75))
    '50.0% [25.0%, 75.0%]'
    """
    return f"{point.value:.1%}" + ("" if point.low is None else f" [{point.low:.1%}, {point.high:.1%}]")


def _listed(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _it(names: Sequence[str]) -> str:
    return "it" if len(names) == 1 else "them"


def as_json(comparison: Comparison) -> dict[str, Any]:
    """The comparison as plain data."""
    return {
        "split": comparison.split,
        "sentence": sentence(comparison),
        "arms": [
            {
                "title": arm.title,
                "runs": [{"name": run.name, "seed": run.config.seed} for run in arm.runs],
                "coverage": _plain(arm.coverage(comparison.split)),
                "reliability": _plain(arm.coverage(comparison.split, seen)),
                "generalisation": _plain(arm.coverage(comparison.split, never_seen)),
                "longest_plan": _plain(arm.mean(lambda one: (one[comparison.split] or {}).get("longest_plan"))),
                "ratio": (ratio := arm.ratio(comparison.split)) and asdict(ratio),
            }
            for arm in comparison.arms
        ],
    }


def _plain(points: Mapping[int, Point]) -> list[dict[str, Any]]:
    return [{"generation": generation, **asdict(point)} for generation, point in points.items()]
