"""What a report says, read from the run's folder; nothing is computed that the run did not measure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from iterdeploy.config import RunConfig
from iterdeploy.models.loading import embedded_models
from iterdeploy.run_dir import RunDir, read_json
from iterdeploy.store import TraceStore
from iterdeploy.types import Status, Trace


@dataclass(frozen=True, slots=True)
class Sample:
    """A trace that is shown, with the text that was asked."""

    trace: Trace
    prompt: str


@dataclass(frozen=True, slots=True)
class Contents:
    name: str
    config: RunConfig
    config_text: str
    calls: Sequence[Mapping[str, Any]]
    """provenance.json: one entry for the start and for each resume."""
    state: Mapping[str, Any]
    metrics: Sequence[Mapping[str, Any]]
    """metrics.json of generation 0, 1, ... as far as they were measured."""
    pools: Mapping[int, Mapping[str, Any]]
    """Generation -> the pool that trains it; the last one may not be trained or measured yet."""
    trainings: Mapping[int, Mapping[str, Any]]
    """Generation -> what its training reported."""
    seconds: Mapping[int, Mapping[str, float]]
    seen_sizes: tuple[int, ...] | None
    """Task sizes that the base model was pretrained on; None where its folder does not say."""
    samples: Sequence[Sample]


def read(run_dir: RunDir) -> Contents:
    config = run_dir.config
    metrics = run_dir.metrics()
    generations = range(len(metrics) + 1)
    return Contents(
        name=run_dir.path.name,
        config=config,
        config_text=(run_dir.path / "config.toml").read_text(encoding="utf-8"),
        calls=read_json(run_dir.path / "provenance.json")["calls"],
        state=run_dir.state(),
        metrics=metrics,
        pools={g: pool for g in generations if (pool := run_dir.pool(g - 1)) is not None},
        trainings={g: training for g in generations if (training := run_dir.training(g)) is not None},
        seconds=run_dir.store.seconds(),
        seen_sizes=_seen_sizes(config.model.name),
        samples=_samples(run_dir.store, len(metrics)),
    )


def _seen_sizes(model: str) -> tuple[int, ...] | None:
    """What the model's folder says of its pretraining, if it is still there and says so in the form that we know."""
    path = embedded_models().get(model, Path(model)) / "pretraining.json"
    if not path.is_file():
        return None
    sizes = read_json(path).get("sizes")
    if not isinstance(sizes, list) or not all(isinstance(size, int) for size in sizes):
        return None
    return tuple(sorted(sizes))


def _samples(store: TraceStore, generations: int) -> list[Sample]:
    """Of each generation the first trace with each verdict: chosen by id, so not for how it looks."""
    traces = [
        trace
        for generation in range(generations)
        for status in Status
        if (trace := next(store.traces(generation=generation, status=status), None)) is not None
    ]
    prompts = {task.id: task.prompt for task in store.tasks([trace.task_id for trace in traces])}
    return [Sample(trace, prompts[trace.task_id]) for trace in traces]
