"""What a generation can do: coverage with intervals, pass@k, unanimous@k, plan lengths, reasoning tokens.

A task's solve rate is the share of its samples that are valid; a generation's coverage is the mean solve rate, that is
the share of tasks that one sample is expected to solve. Samples that the validator failed on (ERROR) count as not
solved and are reported.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from statistics import NormalDist, fmean

from iterdeploy.metrics.records import Coverage, Interval, Metrics
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
    outcomes: dict[str, list[bool]] = defaultdict(list)
    sizes: dict[str, int] = {}
    for trace in traces:
        outcomes[trace.task_id].append(trace.valid)
        sizes[trace.task_id] = trace.size
    rates = {task: fmean(results) for task, results in outcomes.items()}
    coverage = fmean(rates.values())
    by_size: dict[int, list[float]] = defaultdict(list)
    for task, rate in rates.items():
        by_size[sizes[task]].append(rate)
    lengths = [int(length) for length in _facts("plan_length", traces)]
    readings = Counter(map(_reading, traces))
    read = readings["strict"] + readings["lenient"]
    return Coverage(
        tasks=len(rates),
        solved=round(math.fsum(rates.values()), 6),
        coverage=coverage,
        interval=mean_interval(list(rates.values()), len(traces)),
        mean_plan=fmean(lengths) if lengths else None,
        longest_plan=max(lengths, default=None),
        reasoning_tokens=fmean(trace.totals.reasoning_tokens for trace in traces),
        pass_at_k=fmean(any(results) for results in outcomes.values()),
        unanimous_at_k=fmean(all(results) for results in outcomes.values()),
        samples_per_task=max(map(len, outcomes.values())),
        by_size={size: (fmean(group), len(group)) for size, group in sorted(by_size.items())},
        plan_lengths=dict(sorted(Counter(lengths).items())),
        verdicts=count_verdicts(traces),
        strict_share=readings["strict"] / read if read else None,
        readings={way: readings[way] for way in ("strict", "lenient", "none")},
        strict_coverage=_strict_coverage(traces),
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


def _strict_coverage(traces: Sequence[Trace]) -> float:
    outcomes: dict[str, list[bool]] = defaultdict(list)
    for trace in traces:
        outcomes[trace.task_id].append(trace.valid and trace.verdict.facts.get("strict", 1.0) == 1.0)
    return fmean(fmean(results) for results in outcomes.values())


def mean_interval(rates: Sequence[float], samples: int, confidence: float = 0.95) -> Interval:
    """Wilson's score interval for the mean of per-task solve rates in [0, 1].

    With one sample per task this is Wilson's interval. With several, samples of one task are not independent, so the
    number of tasks n is replaced by the effective one, n p(1 - p) / s^2 with s^2 the variance of the rates (the score
    interval for survey data of Korn and Graubard, 1998), but by no more than there are `samples` in all. Where few
    tasks differ from the rest, s^2 is itself uncertain: 1/(4n), the most that one task alone can add to it, stands
    above and below and draws the effective number towards n.

    >>> interval = mean_interval([1.0] * 50 + [0.0] * 50, samples=100)
    >>> round(interval.low, 3), round(interval.high, 3)
    (0.404, 0.596)
    """
    tasks, mean = len(rates), fmean(rates)
    variance = math.fsum((rate - mean) ** 2 for rate in rates) / tasks
    effective = min(float(samples), tasks * (mean * (1 - mean) + 1 / (4 * tasks)) / (variance + 1 / (4 * tasks)))
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    centre = (mean + z * z / (2 * effective)) / (1 + z * z / effective)
    half = z / (1 + z * z / effective) * math.sqrt(mean * (1 - mean) / effective + (z / (2 * effective)) ** 2)
    return Interval(max(0.0, centre - half), min(1.0, centre + half))
