"""What a generation can do: coverage with intervals, pass@k, unanimous@k, plan lengths, reasoning tokens.

Samples that the validator failed on (ERROR) count as not solved and are reported. What coverage is: see `results`.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from statistics import fmean

from iterdeploy.metrics.records import Coverage, Metrics
from iterdeploy.metrics.results import TaskResult, interval_of, mean_rate, task_results
from iterdeploy.types import JUDGED, Split, Status, Trace


def coverage_of_splits(traces: Iterable[Trace]) -> Metrics:
    """The metrics of one generation from all of its traces, of which there must be some."""
    by_split: dict[Split, list[Trace]] = defaultdict(list)
    for trace in traces:
        by_split[trace.split].append(trace)
    everything = [trace for group in by_split.values() for trace in group]
    return Metrics(
        generation=everything[0].generation,
        deployed=_coverage(by_split[Split.DEPLOYED]),
        held_out=_coverage(by_split[Split.HELD_OUT]),
        verdicts=count_verdicts(everything),
    )


def count_verdicts(traces: Iterable[Trace]) -> dict[str, int]:
    """Status -> traces, every verdict of a validator named."""
    counts = Counter(trace.verdict.status for trace in traces)
    return {status.value: counts[status] for status in JUDGED}


def _coverage(answers: Sequence[Trace]) -> Coverage | None:
    """Of those answers that have a validator; None if none has."""
    traces = [trace for trace in answers if trace.verdict.status is not Status.UNJUDGED]
    if not traces:
        return None
    tasks = task_results(traces, lambda trace: trace.valid)
    by_size: dict[int, list[TaskResult]] = defaultdict(list)
    for task in tasks:
        by_size[task.size].append(task)
    lengths = [int(length) for length in _facts("plan_length", traces)]
    readings = Counter(map(_reading, traces))
    read = readings["strict"] + readings["lenient"]
    return Coverage(
        tasks=len(tasks),
        solved=round(math.fsum(task.rate for task in tasks), 6),
        coverage=mean_rate(tasks),
        interval=interval_of(tasks),
        mean_plan=fmean(lengths) if lengths else None,
        longest_plan=max(lengths, default=None),
        reasoning_tokens=fmean(trace.totals.reasoning_tokens for trace in traces),
        pass_at_k=fmean(task.valid > 0 for task in tasks),
        unanimous_at_k=fmean(task.valid == task.samples for task in tasks),
        samples_per_task=max(task.samples for task in tasks),
        by_size={size: (mean_rate(group), len(group)) for size, group in sorted(by_size.items())},
        plan_lengths=dict(sorted(Counter(lengths).items())),
        verdicts=count_verdicts(traces),
        strict_share=readings["strict"] / read if read else None,
        readings={way: readings[way] for way in ("strict", "lenient", "none")},
        strict_coverage=mean_rate(task_results(traces, _strict)),
        cost_ratio=fmean(ratios) if (ratios := _facts("cost_ratio", traces)) else None,
    )


def _facts(name: str, traces: Sequence[Trace]) -> list[float]:
    """What the valid traces have of a fact."""
    return [trace.verdict.facts[name] for trace in traces if trace.valid and name in trace.verdict.facts]


def _reading(trace: Trace) -> str:
    match trace.verdict.facts.get("strict"):
        case None:
            return "none"
        case strict:
            return "strict" if strict else "lenient"


def _strict(trace: Trace) -> bool:
    """Whether it is valid and has exactly the required form, where anything is said of the form."""
    return trace.valid and trace.verdict.facts.get("strict", 1.0) == 1.0
