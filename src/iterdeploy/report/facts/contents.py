"""What a report says, read from the run's folder; nothing is computed that the run did not measure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from iterdeploy.audit.records import AUDIT, Audit
from iterdeploy.config import RunConfig
from iterdeploy.metrics.records import Metrics
from iterdeploy.metrics.standing import Standing, standings
from iterdeploy.models.pretrained import pretraining_of
from iterdeploy.record.counts import Counts, count
from iterdeploy.record.outputs import State, TrainingReport
from iterdeploy.record.provenance import Call
from iterdeploy.record.run_dir import RunDir
from iterdeploy.report.facts.sample import Sample, choose
from iterdeploy.theory.records import THEORY, Theory
from iterdeploy.types import TrainingPool

SeenSizes = Mapping[str, Sequence[int]]
"""Domain -> the sizes of its tasks in the base model's pretraining; nothing where the model's folder does not say."""


@dataclass(frozen=True, slots=True)
class Contents:
    name: str
    config: RunConfig
    config_text: str
    described: Mapping[str, str]
    """What the task set says of its tasks: label -> text."""
    calls: Sequence[Call]
    """provenance.json: one entry for the start and for each resume."""
    state: State
    metrics: Sequence[Metrics]
    """Of the generations 0, 1, ... that were measured."""
    pools: Mapping[int, TrainingPool]
    """Generation -> the pool that trains it; the last one may not be trained or measured yet."""
    trainings: Mapping[int, TrainingReport]
    """Generation -> what its training reported."""
    seconds: Mapping[int, Mapping[str, float]]
    seen_sizes: SeenSizes
    """What the base model was pretrained on."""
    counts: Counts
    """Of the traces of the generations that were measured."""
    standings: Sequence[Standing]
    """What these can do at each temperature."""
    audit: Audit | None
    """audit.json, where the run was audited."""
    theory: Theory | None
    """theory.json, where the run was held against the theory."""
    samples: Sample
    """The traces that the page holds."""


def read(run_dir: RunDir, *, live: bool = False) -> Contents:
    """`live`: for a page that asks a server for its traces, so that none need be chosen."""
    config = run_dir.config
    metrics = run_dir.metrics()
    counts = count(run_dir.store, len(metrics))
    generations = range(len(metrics) + 1)
    pools = {g: pool for g in generations if (pool := run_dir.pool(g - 1)) is not None}
    return Contents(
        name=run_dir.path.name,
        config=config,
        config_text=(run_dir.path / "config.toml").read_text(encoding="utf-8"),
        described=run_dir.described,
        calls=run_dir.calls,
        state=run_dir.state(),
        metrics=metrics,
        pools=pools,
        trainings={g: training for g in generations if (training := run_dir.training(g)) is not None},
        seconds=run_dir.store.seconds(),
        seen_sizes=pretraining_of(config.model.name).sizes,
        counts=counts,
        standings=standings(counts.results, config.sampling.temperature),
        audit=AUDIT.read(run_dir.files.find("audit.json")),
        theory=THEORY.read(run_dir.files.find("theory.json")),
        samples=Sample(0, (), {}) if live else choose(run_dir.store, len(metrics), pools),
    )


def never_seen(seen: SeenSizes, domain: str, size: int) -> bool:
    """Whether this size of this domain is new to the base model; never where nobody says what it has seen."""
    return bool(seen) and size not in seen.get(domain, ())
