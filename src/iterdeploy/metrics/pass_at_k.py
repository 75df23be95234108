"""pass@k: the share of tasks that at least one of k answers solves, estimated from n >= k answers to each."""

import math
from collections.abc import Sequence
from statistics import fmean

from iterdeploy.metrics.records import Point
from iterdeploy.metrics.results import TaskResult, mean_interval


def pass_at_k(valid: int, samples: int, k: int) -> float:
    """1 - C(n - c, k) / C(n, k) with c of n samples valid: unbiased (Chen et al., arXiv 2107.03374, equation 1).

    >>> pass_at_k(1, 4, 1), pass_at_k(1, 4, 2), pass_at_k(3, 4, 2)
    (0.25, 0.5, 1.0)
    """
    return 1 - math.comb(samples - valid, k) / math.comb(samples, k)


def curve(results: Sequence[TaskResult]) -> dict[int, Point]:
    """k -> mean over the tasks, with its interval, for k = 1, 2, 4, ... and for as many as every task has samples."""
    most = min((row.samples for row in results), default=0)
    return {k: _mean(results, k) for k in sorted({2**power for power in range(most.bit_length())} | {most}) if k}


def _mean(results: Sequence[TaskResult], k: int) -> Point:
    rates = [pass_at_k(row.valid, row.samples, k) for row in results]
    interval = mean_interval(rates, sum(row.samples // k for row in results))
    return Point(fmean(rates), interval.low, interval.high)
