"""Judges the stored answers of a run again, with another validator or a corrected one, and restates what follows.

Nothing of the run changes: its verdicts, metrics and pools are what its models were trained by. What would be otherwise
now stands apart, in a file of its own for each time.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count, islice
from typing import Any

from iterdeploy.config import RunConfig
from iterdeploy.curation.policies import make_pool
from iterdeploy.forms import Form
from iterdeploy.metrics.coverage import coverage_of_splits
from iterdeploy.record.run_dir import RunDir
from iterdeploy.steps.components import configured_curation
from iterdeploy.steps.curate import admitted
from iterdeploy.tasks import TaskSet, task_set
from iterdeploy.tasks.judging import verdicts
from iterdeploy.types import Split, Status, Trace, Verdict

BATCH = 256
"""Answers that are judged together, and in memory with their content."""


@dataclass(frozen=True, slots=True)
class Said:
    status: str
    reason: str
    facts: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Changed:
    """An answer whose verdict is another one now, in its status, its reading or its numbers."""

    trace_id: str
    generation: int
    split: str
    before: Said
    after: Said


@dataclass(frozen=True, slots=True)
class Before:
    """A number as the run has it, and as it would be."""

    before: float
    after: float


@dataclass(frozen=True, slots=True)
class Pool:
    traces: Before
    entered: Sequence[str]
    """Ids that only the new verdicts let in."""
    left: Sequence[str]


@dataclass(frozen=True, slots=True)
class Restated:
    """One generation."""

    generation: int
    answers: int
    changed: int
    coverage: Mapping[str, Before]
    """By split, of those that have judged answers."""
    pool: Pool | None
    """None where nothing was curated after it."""


@dataclass(frozen=True, slots=True)
class Reverification:
    validator: str
    """As the configuration says it; of a task set of your own, its name."""
    generations: Sequence[Restated]
    changes: Sequence[Changed]


REVERIFICATION = Form(Reverification, "reverified-1.json", "iterdeploy reverify RUN")


def reverify(run_dir: RunDir, config: RunConfig) -> Reverification:
    """`config`: the run's, with the validator that is to judge. What only people judge stays as it is."""
    tasks = task_set(config)
    changes: list[Changed] = []
    verdicts: dict[str, Verdict] = {}
    answers: Counter[int] = Counter()
    coverage: dict[int, Mapping[str, Before]] = {}
    for generation in run_dir.store.verdict_counts():
        before = list(run_dir.store.traces(generation=generation))
        after = list(_judged(before, tasks, run_dir))
        answers[generation] = len(before)
        coverage[generation] = _coverage(before, after)
        for old, new in zip(before, after, strict=True):
            if _said(old.verdict) != _said(new.verdict) or old.verdict.answer != new.verdict.answer:
                verdicts[old.id] = new.verdict
                changes.append(Changed(old.id, generation, old.split.value, _said(old.verdict), _said(new.verdict)))
    per_generation = Counter(change.generation for change in changes)
    restated = [
        Restated(
            generation,
            answers[generation],
            per_generation[generation],
            coverage[generation],
            _pool(generation, run_dir, config, tasks, verdicts),
        )
        for generation in coverage
    ]
    validator = config.validation.validator if config.tasks.kind in ("planning", "pddl") else config.tasks.kind
    return Reverification(validator, restated, changes)


def write_reverification(run_dir: RunDir, found: Reverification) -> str:
    """The name of the file, which is a new one each time."""
    name = next(name for i in count(1) if not run_dir.files.exists(name := f"reverified-{i}.json"))
    run_dir.files.write(name, REVERIFICATION.values(found))
    return name


def _judged(traces: Sequence[Trace], tasks: TaskSet, run_dir: RunDir) -> Iterator[Trace]:
    known: dict[str, Any] = {task.id: task for task in run_dir.store.tasks({trace.task_id for trace in traces})}
    asked = iter(traces)
    with tasks.judges() as judges:
        while batch := list(islice(asked, BATCH)):
            judged = [trace for trace in batch if trace.verdict.status is not Status.UNJUDGED]
            found = verdicts(judges, [(known[trace.task_id], tuple(trace.completions)) for trace in judged])
            by_id = dict(zip([trace.id for trace in judged], found, strict=True))
            yield from [replace(trace, verdict=by_id.get(trace.id, trace.verdict)) for trace in batch]


def _said(verdict: Verdict) -> Said:
    return Said(verdict.status.value, verdict.reason if verdict.status is not Status.VALID else "", dict(verdict.facts))


def _coverage(before: Sequence[Trace], after: Sequence[Trace]) -> dict[str, Before]:
    found: dict[str, list[float]] = defaultdict(list)
    for traces in (before, after):
        metrics = coverage_of_splits(traces)
        for split, coverage in ((Split.HELD_OUT, metrics.held_out), (Split.DEPLOYED, metrics.deployed)):
            if coverage is not None:
                found[split.value].append(coverage.coverage)
    return {split: Before(*pair) for split, pair in found.items()}


def _pool(
    generation: int, run_dir: RunDir, config: RunConfig, tasks: TaskSet, verdicts: Mapping[str, Verdict]
) -> Pool | None:
    curated = run_dir.pool(generation)
    if curated is None:
        return None
    old = dict(curated.weights)
    weighted = admitted(run_dir.store, tasks, generation, verdicts=verdicts)
    new = make_pool(configured_curation(config), weighted).weights
    return Pool(
        Before(len(old), len(new)),
        [trace_id for trace_id in new if trace_id not in old],
        [trace_id for trace_id in old if trace_id not in new],
    )
