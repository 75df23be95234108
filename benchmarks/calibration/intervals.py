"""How often each 95% interval covers what is true of the population of tasks, and of seeds."""

from typing import TYPE_CHECKING

import numpy as np

from calibration.rates import Rates, covers
from calibration.simulated import answers, nodes, population_mean, tasks
from iterdeploy.metrics import seeds
from iterdeploy.metrics.frontier import SOLVED, frontier
from iterdeploy.metrics.paired import paired
from iterdeploy.metrics.pass_at_k import curve
from iterdeploy.metrics.results import TaskResult, solved
from iterdeploy.metrics.unpaired import unpaired

if TYPE_CHECKING:
    from collections.abc import Sequence

COVER, WIDE = "93 to 97%", "at least 93%"
SEED_SPREAD = 0.02


def chapter(number: int, rates: Rates) -> None:
    dice = np.random.default_rng((32, number))
    _coverage(dice, rates)
    _differences(dice, rates)
    _pass_at_k(dice, rates)
    _frontier(dice, rates)
    _seeds(dice, rates)
    _rare(dice, rates)


def _coverage(dice: np.random.Generator, rates: Rates) -> None:
    for count, samples in ((500, 1), (100, 1), (100, 3), (40, 8)):
        for truth in (0.02, 0.1, 0.5, 0.9):
            point = solved(answers(dice, tasks(dice, count), truth, samples))
            assert point is not None
            rare = truth * count < 5
            what = f"coverage of {truth:.0%}, {count} tasks, {samples} answer{'s' * (samples > 1)} each (Wilson)"
            rates.add(what, covers(point, truth), WIDE if rare else COVER)


def _differences(dice: np.random.Generator, rates: Rates) -> None:
    for count, samples in ((500, 1), (100, 1), (200, 3), (40, 8)):
        for before, after in ((0.6, 0.66), (0.3, 0.6), (0.02, 0.05)):
            ease = tasks(dice, count)
            sides = [answers(dice, ease, of, samples) for of in (before, after)]
            change = paired(*sides)
            assert change is not None
            how = "Bonett and Price" if samples == 1 else "bootstrap"
            what = f"difference {before:.0%} to {after:.0%}, the same {count} tasks, {samples} answer"
            rare = after * count < 15
            rates.add(f"{what}{'s' * (samples > 1)} each ({how})", covers(change.interval, after - before),
                      WIDE if rare else COVER)  # fmt: skip
    before, after = (solved(answers(dice, tasks(dice, 200), of)) for of in (0.6, 0.66))
    assert before is not None and after is not None
    rates.add(
        "difference 60% to 66%, 200 other tasks (Newcombe)", covers(unpaired(before, after).interval, 0.06), COVER
    )


def _pass_at_k(dice: np.random.Generator, rates: Rates) -> None:
    found = curve(answers(dice, tasks(dice, 100), 0.3, 8))
    for k, point in found.items():
        truth = population_mean(1 - (1 - nodes(0.3)) ** k)
        rates.add(f"pass@{k} of 8 answers to each of 100 tasks at a coverage of 30%", covers(point, truth), COVER)


def _frontier(dice: np.random.Generator, rates: Rates) -> None:
    """Sizes 3 to 14 with 30 or 60 tasks each, whose coverage falls with size; the true frontier is 8."""
    truth = {size: float(round(0.9 / (1 + np.exp(0.8 * (size - 6))), 3)) for size in range(3, 15)}
    largest = max(size for size, share in truth.items() if share >= SOLVED)
    for count in (30, 60):
        rows: Sequence[TaskResult] = [
            TaskResult(0, "held_out", "d", size, f"{size}-{row.task}", row.valid, row.samples)
            for size, share in truth.items()
            for row in answers(dice, tasks(dice, count), share)
        ]
        found = frontier(rows)
        assert found is not None and found.high is not None
        inside = (found.low or 0) <= largest <= found.high
        rates.add(f"frontier, {count} tasks of each size: the true one is in its interval", inside, WIDE)
        rates.add(f"frontier, {count} tasks of each size: it is the true one", found.size == largest, "")


def _seeds(dice: np.random.Generator, rates: Rates) -> None:
    """Three seeds, whose coverages vary by 2 points about 20% before and 50% after."""
    for count, samples in ((500, 1), (100, 3)):
        for shared in (False, True):
            sides: list[list[list[TaskResult]]] = [[], []]
            common = tasks(dice, count)
            for seed in range(3):
                ease = common if shared else tasks(dice, count)
                for side, truth in enumerate((0.2, 0.5)):
                    level = round(truth + float(dice.normal(0, SEED_SPREAD)), 3)
                    sides[side].append(answers(dice, ease, level, samples, 0, 0 if shared else 10_000 * seed))
            each = f"{samples} answer{'s' * (samples > 1)} each"
            what = f"3 seeds, {'shared' if shared else 'their own'} {count} tasks, {each}: "
            later, ratio, change = seeds.coverage(sides[1]), seeds.ratio(*sides), seeds.difference(*sides)
            assert later is not None and ratio is not None and change is not None
            rates.add(f"{what}coverage of 50%", covers(later, 0.5), WIDE)
            rates.add(f"{what}ratio 50% by 20%", covers(ratio, 2.5), WIDE if shared else COVER)
            rates.add(f"{what}difference 50% less 20%", covers(change.interval, 0.3), WIDE)


def _rare(dice: np.random.Generator, rates: Rates) -> None:
    """Rare successes: three seeds without one would have a t interval from 0 to 0."""
    for truth in (0.005, 0.01, 0.02, 0.05):
        runs = [answers(dice, tasks(dice, 16), truth, 3, 0, 100 * seed) for seed in range(3)]
        wider, alone = seeds.coverage(runs), seeds.mean([sum(row.rate for row in rows) / 16 for rows in runs])
        assert wider is not None and alone is not None
        what = f"3 seeds of 16 tasks, 3 answers each, coverage of {truth:.1%}"
        rates.add(what, covers(wider, truth), WIDE)
        rates.add(f"{what}: the t interval alone", covers(alone, truth), "")
