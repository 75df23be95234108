"""Simulated answers: tasks of which some are hard and some easy, and generations that solve some share of them.

A task's log-odds of being solved are a level, common to all tasks, and its own ease, which is normal with standard
deviation SPREAD and stays the same over the generations. With 2.5 a quarter of the tasks changes sides between 61 and
67% of coverage with one answer each, as in `planted-slips`.
"""

from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from iterdeploy.metrics.results import TaskResult

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

SPREAD = 2.5
HALVINGS = 60
NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(80)


def tasks(dice: np.random.Generator, count: int) -> "Array":
    """The ease of tasks drawn from the population, (T,)."""
    return dice.normal(0, SPREAD, count)


def answers(
    dice: np.random.Generator, ease: "Array", coverage: float, samples: int = 1, generation: int = 0, first: int = 0
) -> list[TaskResult]:
    """How the tasks go in a generation that solves so large a share of the population, which is what counts as true."""
    valid = dice.binomial(samples, chances(ease, coverage))
    return [
        TaskResult(generation, "held_out", "d", 3, str(first + task), int(solved), samples)
        for task, solved in enumerate(valid)
    ]


def chances(ease: "Array", coverage: float) -> "Array":
    """Of each task, (T,)."""
    out: Array = _logistic(_level(coverage) + ease)
    return out


def population_mean(of: "Array") -> float:
    """Mean over the population of a function of a task's ease, given at the nodes, (N,)."""
    return float(WEIGHTS @ of / WEIGHTS.sum())


def nodes(coverage: float) -> "Array":
    """The chances of the population's tasks at the nodes, (N,)."""
    return chances(SPREAD * NODES, coverage)


@cache
def _level(coverage: float) -> float:
    low, high = -40.0, 40.0
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        below = population_mean(_logistic(middle + SPREAD * NODES)) < coverage
        low, high = (middle, high) if below else (low, middle)
    return low


def _logistic(log_odds: "Array") -> "Array":
    out: Array = 1 / (1 + np.exp(-log_odds))
    return out
