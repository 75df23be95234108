"""What an audit of so many answers could have found: the power of its tests, by strength and prevalence of a taste.

The taste is for a marker that a share of the answers has, whatever else is in them: exp(strength) is by how much it
multiplies the odds of being kept, as in `prefer(feature, strength)`. The test is the one of the marker alone
(`association`), at a level of 5% divided by the number of tests of the audit. For small pools the power is a sum over
all that can happen (Fisher's exact test; among pairs the sign test), for large ones the normal approximation.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from iterdeploy.audit.questions import PICKED
from iterdeploy.audit.records import CONFIDENCE, Power, Reward

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

STRENGTHS = (0.5, 1.0, 2.0, 3.0)
PREVALENCES = (0.02, 0.05, 0.1, 0.25, 0.5)
MOST_EXACT = 600
"""Decisions up to which all that can happen is added up."""


def power(rewards: Sequence[Reward], tested: int) -> list[Power]:
    """For each question that decides and has something to compare; `tested`: how many tests share the 5%."""
    level = (1 - CONFIDENCE) / max(1, tested)
    return [
        Power(
            reward.question,
            reward.decisions,
            level,
            STRENGTHS,
            PREVALENCES,
            [[_power(reward, strength, share, level) for share in PREVALENCES] for strength in STRENGTHS],
        )
        for reward in rewards
        if reward.decides and reward.decisions
    ]


def _power(reward: Reward, strength: float, prevalence: float, level: float) -> float:
    if reward.question == PICKED:
        return of_pairs(round(reward.decisions * 2 * prevalence * (1 - prevalence)), strength, level)
    return of_answers(reward.decisions, reward.kept / reward.decisions, strength, prevalence, level)


def of_pairs(differing: int, strength: float, level: float) -> float:
    """Of `differing` pairs of which one answer has the marker: that the two-sided sign test finds it."""
    import numpy as np
    from scipy.stats import binom

    wins = np.arange(differing + 1)
    p = 2 * np.minimum(binom.cdf(wins, differing, 0.5), binom.sf(wins - 1, differing, 0.5))
    return float(binom.pmf(wins, differing, 1 / (1 + np.exp(-strength)))[p < level].sum())


def of_answers(answers: int, kept: float, strength: float, prevalence: float, level: float) -> float:
    """Of `answers` of which a share is `kept` and a share has the marker: that the two-sided test finds it.

    >>> of_answers(300, 0.5, 3.0, 0.25, 0.05 / 20) > 0.99 > of_answers(300, 0.5, 0.5, 0.25, 0.05 / 20)
    True
    """
    import numpy as np
    from scipy.optimize import brentq
    from scipy.stats import norm

    if not 0 < kept < 1:
        return 0.0

    def expected(constant: float) -> "NDArray[np.float64]":
        out: NDArray[np.float64] = 1 / (1 + np.exp(-(constant + strength * np.array([0.0, 1.0]))))
        return out

    shares = np.array([1 - prevalence, prevalence])
    without, with_it = expected(brentq(lambda constant: float(shares @ expected(constant)) - kept, -50, 50)).tolist()
    having = round(answers * prevalence)
    if answers <= MOST_EXACT:
        return _by_fisher(answers - having, having, without, with_it, level)
    null = kept * (1 - kept) / (answers * prevalence * (1 - prevalence))
    true = with_it * (1 - with_it) / having + without * (1 - without) / (answers - having)
    return float(norm.cdf((with_it - without - norm.isf(level / 2) * null**0.5) / true**0.5))


def _by_fisher(lacking: int, having: int, without: float, with_it: float, level: float) -> float:
    """The chance of all tables with these margins of answers that Fisher's test rejects."""
    import numpy as np
    from scipy.stats import binom, hypergeom

    one, other = np.arange(having + 1), np.arange(lacking + 1)
    chance_one, chance_other = binom.pmf(one, having, with_it), binom.pmf(other, lacking, without)
    found = 0.0
    for total in range(having + lacking + 1):
        inside = np.arange(max(0, total - lacking), min(having, total) + 1)
        chances = chance_one[inside] * chance_other[total - inside]
        if chances.sum() < 1e-9:
            continue
        pmf = hypergeom.pmf(inside, having + lacking, having, total)
        order = np.argsort(pmf)
        ranked = np.cumsum(pmf[order])[np.searchsorted(pmf[order], pmf * (1 + 1e-7), side="right") - 1]
        found += float(chances[ranked < level].sum())
    return found
