"""What is claimed of two generations, or of two arms: false claims, and claims of a gain that is there."""

import numpy as np

from calibration.rates import Rates
from calibration.simulated import answers, tasks
from iterdeploy.metrics import seeds
from iterdeploy.metrics.paired import CHANCE, equivalent, paired
from iterdeploy.metrics.results import solved
from iterdeploy.metrics.standing import standings
from iterdeploy.metrics.tables import corrections
from iterdeploy.metrics.unpaired import unpaired
from iterdeploy.report.facts.verdict import Claim, outcome

FALSE, FOUND = "at most 5%", "at least 70%"
START = 0.612
MARGIN = 0.05


def chapter(number: int, rates: Rates) -> None:
    dice = np.random.default_rng((31, number))
    for count, samples, gain, target in (
        (500, 1, 0.0, FALSE), (100, 1, 0.0, FALSE), (40, 1, 0.0, FALSE), (100, 3, 0.0, FALSE), (500, 1, 0.03, ""),
        (500, 1, 0.06, FOUND), (500, 1, 0.08, FOUND), (100, 1, 0.12, ""), (200, 3, 0.06, ""),
    ):  # fmt: skip
        ease = tasks(dice, count)
        both = [answers(dice, ease, START + of * gain, samples, of) for of in (0, 1)]
        claim = outcome([*both[0], *both[1]], 1.0).claim
        what = f"{count} tasks, {samples} answer{'s' * (samples > 1)} each, "
        so = claim is Claim.IMPROVED if gain else claim is not Claim.NONE
        rates.add(
            what + (f"{100 * gain:+.0f} points: improvement claimed" if gain else "no change: one claimed"), so, target
        )
        if samples == 1 and gain in (0.0, 0.06, 0.12):
            apart = _intervals_apart(*both)
            rates.add(f"{what}{100 * gain:+.0f} points: the two intervals lie apart", apart, "")
    _table(dice, rates)
    _arms(dice, rates)
    _equivalence(dice, rates)


def _intervals_apart(before: list, after: list) -> bool:  # type: ignore[type-arg]
    """Which says little: it holds how hard the tasks are, twice."""
    low, high = solved(before), solved(after)
    assert low is not None and high is not None and low.high is not None and high.low is not None
    return high.low > low.high


def _table(dice: np.random.Generator, rates: Rates) -> None:
    """Five generations against generation 0, all alike."""
    ease = tasks(dice, 200)
    rows = [row for generation in range(6) for row in answers(dice, ease, START, 1, generation)]
    found = standings(rows, 1.0)
    rates.add("a table of 5 generations, no change: one has corrected p < 5%",
              min(corrections(found).values()) < CHANCE, FALSE)  # fmt: skip
    rates.add("the same, uncorrected", any(one.paired is not None and one.paired.p < CHANCE for one in found), "")


def _arms(dice: np.random.Generator, rates: Rates) -> None:
    """Arms of three seeds, whose coverage varies by 2 points from seed to seed; and single runs with other tasks."""
    for gain in (0.0, 0.06):
        sides: list[list] = [[], []]  # type: ignore[type-arg]
        for seed in range(3):
            ease = tasks(dice, 500)
            for side, rows in enumerate(sides):
                level = START + side * gain + dice.normal(0, 0.02)
                rows.append(answers(dice, ease, float(np.clip(round(level, 3), 0.01, 0.99)), 1, 0, 1000 * seed))
        found = seeds.difference(*sides)
        assert found is not None
        what = f"two arms of 3 seeds, {100 * gain:+.0f} points: a difference is claimed"
        rates.add(what, found.p < CHANCE, FALSE if not gain else "")
        before, after = (answers(dice, tasks(dice, 500), START + side * gain) for side in (0, 1))
        one, other = solved(before), solved(after)
        assert one is not None and other is not None
        rates.add(f"two runs with 500 other tasks each, {100 * gain:+.0f} points: a difference is claimed",
                  unpaired(one, other).p < CHANCE, FALSE if not gain else "")  # fmt: skip


def _equivalence(dice: np.random.Generator, rates: Rates) -> None:
    for gain, target in ((MARGIN, FALSE), (0.0, "")):
        for count in (500, 1500):
            ease = tasks(dice, count)
            found = paired(answers(dice, ease, START), answers(dice, ease, START + gain))
            assert found is not None
            what = f"{count} tasks, {100 * gain:.0f} points apart: called equivalent within {100 * MARGIN:.0f}"
            rates.add(what, equivalent(found.interval, MARGIN), target)
