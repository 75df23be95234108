"""A constant taste for detours must not drift because something unmeasured changes; a growing one must."""

from typing import TYPE_CHECKING

import numpy as np

from calibration.pools import CHANCE, Answers, Rates, judged, logistic
from iterdeploy.metrics.correction import holm

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

FALSE = "at most 5%"
CANNOT = "cannot be told"


def chapter(answers: Answers, number: int, rates: Rates) -> None:
    time = answers.seen.generation / max(1, answers.generations - 1)  # from 0 to 1
    dice = np.random.default_rng((7, number))
    common = dice.random(len(time)) < 0.02 + 0.48 * np.minimum(time, 1)
    half = dice.random(len(time)) < 0.5
    liked = answers.prefer({"detour": 3.0})
    rules = {
        "nothing else": (logistic(liked), FALSE),
        "an unmeasured marker liked by 5 goes from 2 to 50%": (logistic(liked + 5 * (common - 0.5)), FALSE),
        "the same, and what has it is kept nearly always": (logistic(liked + 5.0 * common), FALSE),
        "the same, and what lacks it is dropped nearly always": (logistic(liked + 5 * (common - 1.0)), FALSE),
        "a share that rises from 10 to 90% is looked at": (logistic(liked) * (0.1 + 0.8 * np.minimum(time, 1)), FALSE),
        "everybody becomes milder, by 3 in log-odds": (logistic(liked + 3 * (np.minimum(time, 1) - 0.5)), FALSE),
        "an unmeasured taste for half of the answers grows from 0 to 6": (
            logistic(liked + 6 * np.minimum(time, 1) * (half - 0.5)), CANNOT,
        ),
    }  # fmt: skip
    for row, (rule, (chance, target)) in enumerate(rules.items()):
        shares, odds = _drifts(answers, chance, 8, row, number)
        rates.add(f"constant taste of 3, {rule}: it drifts", shares, target)
        rates.add(f"constant taste of 3, {rule}: by odds alone it would", odds, "")
    grown = logistic(answers.prefer({"detour": 3.0}) * np.minimum(time, 1))
    rates.add("a taste that grows from 0 to 3: it drifts", _drifts(answers, grown, 9, 0, number)[0], "at least 95%")
    grown = logistic(answers.prefer({"detour": 1.0}) * (1 + np.minimum(time, 1)))
    rates.add("a taste that grows from 1 to 2: it drifts", _drifts(answers, grown, 9, 1, number)[0], "")


def _drifts(answers: Answers, chance: "Array", *seed: int) -> tuple[bool, bool]:
    """Whether detours are said to drift; and whether they would be, going by the odds alone."""
    features = judged(answers, answers.kept(chance, *seed)).features
    names = [name for name, one in features.items() if one.drift is not None]
    drifts = [one.drift for one in features.values() if one.drift is not None]
    place = names.index("detour")
    return holm([one.p for one in drifts])[place] < CHANCE, holm([one.odds.p for one in drifts])[place] < CHANCE
