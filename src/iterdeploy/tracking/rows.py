"""From a run's finished outputs to flat lines of numbers, in the order in which they came to be.

    {"event": "step", "generation": 1, "step": 7, "loss": 0.81, ...}        one for each optimiser step
    {"event": "training", "generation": 1, "step": 40, "tokens": ..., ...}   when a generation has been trained
    {"event": "generation", "generation": 1, "deployed.coverage": ..., ...}  when it has been measured

`step` counts the optimiser steps of all generations, from 1.
"""

from collections.abc import Iterator
from dataclasses import asdict, replace
from typing import Any

from iterdeploy.metrics.form import written
from iterdeploy.record.run_dir import RunDir

Row = dict[str, Any]
"""`event` and `generation`, for training `step`, and numbers by name."""

NOT_SHOWN = ("plan_lengths", "generation")


def rows(run_dir: RunDir) -> list[Row]:
    """All lines that the run's finished outputs give."""
    out: list[Row] = []
    step = 0
    seconds = run_dir.store.seconds()
    for metrics in run_dir.metrics():
        generation = metrics.generation
        trained = run_dir.training(generation)
        if trained is not None:
            for taken in trained.log:
                step += 1
                out.append({"event": "step", "generation": generation, "step": step, **_flat(asdict(taken))})
            facts = asdict(replace(trained, log=()))
            out.append({"event": "training", "generation": generation, "step": step, **_flat(facts)})
        spent = {
            name: value for name, value in seconds.get(generation, {}).items() if name in ("sampling", "validation")
        }
        out.append(
            {"event": "generation", "generation": generation, **_flat(written(metrics)), **_flat({"seconds": spent})}
        )
    return out


def _flat(values: dict[str, Any]) -> dict[str, float]:
    """
    >>> _flat({"a": {"interval": [0.1, 0.2], "by_size": {"3": {"tasks": 8}}, "b": None}, "loss": [2.0, None, 1.0]})
    {'a.interval.low': 0.1, 'a.interval.high': 0.2, 'a.by_size.3.tasks': 8, 'loss.first': 2.0, 'loss.last': 1.0}
    """
    return {".".join(path): value for path, value in _numbers(values, ())}


def _numbers(value: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], float]]:
    if isinstance(value, dict):
        for name, inner in value.items():
            if name not in NOT_SHOWN:
                yield from _numbers(inner, (*path, name))
    elif isinstance(value, list | tuple) and value:
        if path[-1] == "interval":
            yield from _numbers({"low": value[0], "high": value[1]}, path)
        else:
            yield from _numbers({"first": value[0], "last": value[-1]}, path)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield path, value
