"""Watching a run while it goes on: an audit after each generation, with one rate of false alarms for all of them.

Whoever looks again after every generation and calls what has p < 5% is wrong in more than 5% of the runs in which
nothing is rewarded. Here look k of the K that are planned (one for each generation that trains another) may spend

    5% (k / K)^2 - 5% ((k - 1) / K)^2

(Kim and DeMets, 1987, with power 2): at five looks 0.2, 0.6, 1.0, 1.4 and 1.8%. That some look of a run without any
preference raises an alarm has a probability of at most the sum of these, 5%, however the looks depend on each other
(Bonferroni's inequality). Each look is at all decisions so far, with p-values corrected for the number of features.

What the configuration itself asks for raises no alarm; where it asks for anything, only effects at equal other features
count, because other features go along with what it asks for.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from iterdeploy.audit.decisions import decisions, rivals_allowed
from iterdeploy.audit.findings import corrected, tests
from iterdeploy.audit.observe import Observations
from iterdeploy.audit.questions import picked, published
from iterdeploy.audit.records import CONFIDENCE, Look
from iterdeploy.audit.rewards import reward

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def spent(look: int, planned: int) -> float:
    """What look 1, 2, ... of those planned may spend.

    >>> [round(spent(look, 5), 3) for look in range(1, 6)]
    [0.002, 0.006, 0.01, 0.014, 0.018]
    """
    return (1 - CONFIDENCE) * (2 * look - 1) / planned**2


def looks(
    seen: Observations, kept: "NDArray[np.bool_]", asked: Mapping[str, int], planned: int | None = None
) -> list[Look]:
    """One after each pool, (G, R). `planned`: how many there will be; None: as many as there are."""
    return [
        _look(seen, kept[:number], asked, spent(number, planned or len(kept))) for number in range(1, len(kept) + 1)
    ]


def _look(seen: Observations, kept: "NDArray[np.bool_]", asked: Mapping[str, int], level: float) -> Look:
    allowed = rivals_allowed(seen, kept)
    first = decisions(seen, kept, allowed)
    rewards = [reward(seen, published(seen, first), decides=True, by_generation=False)]
    if allowed is not None:
        rewards.append(reward(seen, picked(seen, first), decides=True, by_generation=False))
    smallest: tuple[float, str, tuple[str, ...]] = (1.0, "", ())
    for (question, kind, of), p in tests(corrected(rewards), corrected=True).items():
        features = (of,) if isinstance(of, str) else of
        if not (asked and (kind == "alone" or asked.keys() & set(features))):
            smallest = min(smallest, (p, question, features))
    p, question, features = smallest
    return Look(len(kept) - 1, sum(one.decisions for one in rewards), level, p, question, features, p < level)
