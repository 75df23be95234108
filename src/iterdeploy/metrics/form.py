"""Metrics as metrics.json has them, and back: intervals are pairs there, and sizes and lengths are text keys."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from iterdeploy.metrics.records import Metrics

SPLITS = ("deployed", "held_out")


def written(metrics: Metrics) -> dict[str, Any]:
    """The content of metrics.json."""
    out: dict[str, Any] = asdict(metrics)
    for split in SPLITS:
        if (coverage := out[split]) is not None:
            coverage["interval"] = [coverage["interval"]["low"], coverage["interval"]["high"]]
            coverage["by_size"] = {
                str(size): {"coverage": solved, "tasks": tasks} for size, (solved, tasks) in coverage["by_size"].items()
            }
            coverage["plan_lengths"] = {str(length): plans for length, plans in coverage["plan_lengths"].items()}
    return out


def as_record(values: Mapping[str, Any]) -> dict[str, Any]:
    """The content of a metrics.json in the form of the record `Metrics`."""
    out = dict(values)
    for split in SPLITS:
        if (coverage := out.get(split)) is not None:
            low, high = coverage["interval"]
            sizes = {int(size): (found["coverage"], found["tasks"]) for size, found in coverage["by_size"].items()}
            out[split] = {**coverage, "interval": {"low": low, "high": high}, "by_size": sizes}
    return out
