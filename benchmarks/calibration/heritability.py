"""Realised heritability: answers of which the next generation takes over a known share of what was selected."""

from typing import TYPE_CHECKING

import numpy as np

from calibration.pools import Answers, Rates, covers, logistic
from iterdeploy.audit.heritability import heritability
from iterdeploy.audit.observe import Observations

if TYPE_CHECKING:
    from numpy.typing import NDArray

TASKS, SAMPLES, GENERATIONS, SOLVED = 500, 2, 5, 0.7


def chapter(answers: Answers, number: int, rates: Rates) -> None:
    for share in (0.0, 0.25, 0.5, 1.0):
        for memory in (False, True):
            seen, kept = inherited(share, number, memory)
            found = heritability(seen, kept, None)["marker"]
            what = f"{share:.0%} of what was selected arrives{', pools keep older answers' if memory else ''}"
            rates.add(f"{what}: it is told", found.realised is not None, "")
            if found.realised is not None and not memory:
                rates.add(f"{what}: the interval covers it", covers(found.realised, share), "93 to 97%")
    seen, kept = inherited(0.0, number, False, taste=0.0)
    rates.add(
        "nothing is selected: a share is told",
        heritability(seen, kept, None)["marker"].realised is not None,
        "at most 5%",
    )


def inherited(share: float, number: int, memory: bool, taste: float = 2.0) -> "tuple[Observations, NDArray[np.bool_]]":
    """A marker whose log-odds differ between tasks; the next generation's rate is this one's and a share of S more."""
    dice = np.random.default_rng((21, number, int(100 * share), int(10 * taste)))
    task = np.repeat(np.arange(TASKS), SAMPLES)
    of_task = dice.normal(0, 1, TASKS)
    columns, pools, prevalence = [], [], 0.3
    for generation in range(GENERATIONS):
        level = _level(prevalence, of_task)
        marker = (dice.random(len(task)) < logistic(level + of_task[task])).astype(float)
        valid = dice.random(len(task)) < SOLVED
        chosen = valid & (dice.random(len(task)) < logistic(taste * (marker - 0.5)))
        columns.append((marker, valid, np.full(len(task), generation), chosen))
        expected = logistic(level + of_task)
        with_it, without = (expected * _kept(taste)).mean(), ((1 - expected) * _kept(-taste)).mean()
        prevalence += share * float(with_it / (with_it + without) - expected.mean())
    marker, valid, generation, chosen = (np.concatenate(column) for column in zip(*columns, strict=True))
    for last in range(GENERATIONS):
        pools.append(chosen & ((generation <= last) if memory else (generation == last)))
    tasks = np.tile(task, GENERATIONS)
    seen = Observations(
        ids=tuple(map(str, range(len(marker)))),
        names=("marker",),
        values=np.where(valid, marker, np.nan)[:, None],
        task=tasks,
        domain=np.zeros(len(tasks), dtype=np.int64),
        size=(tasks % 4).astype(float),
        generation=generation.astype(np.int64),
        deployed=np.ones(len(tasks), dtype=bool),
        valid=valid,
        rare_actions=0,
    )
    return seen, np.stack(pools)


def _kept(taste: float) -> float:
    return float(logistic(np.array(taste / 2)))


def _level(prevalence: float, of_task: "NDArray[np.float64]") -> float:
    from scipy.optimize import brentq

    return float(brentq(lambda level: float(logistic(level + of_task).mean()) - prevalence, -20, 20))
