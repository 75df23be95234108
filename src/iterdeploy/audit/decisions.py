"""Which decision on each answer counts, and how much validity itself is rewarded.

Each answer counts once, with its *first* decision: whether the pool curated after its own generation holds it. A later
pool decides on it again, but a policy that goes by the answer alone repeats itself, so counting those decisions would
count the same evidence several times over.

G: pools, one for each curated generation. R: answers.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from iterdeploy.audit.observe import Observations
from iterdeploy.audit.records import CONFIDENCE, Decision, Kept

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

EXPECTED_BEYOND = 10.0
"""If this many tasks should have kept more answers than any did, curation picks among rivals."""


@dataclass(frozen=True, slots=True)
class Decisions:
    """The first decision on each valid deployed answer, (R,) of all answers."""

    made: "NDArray[np.bool_]"
    kept: "NDArray[np.bool_]"
    sole: "NDArray[np.bool_]"
    """No more valid answers to its task were there than curation keeps."""


def rivals_allowed(seen: Observations, kept: "NDArray[np.bool_]") -> int | None:
    """How many answers a task may keep; None where curation does not pick among the answers of a task.

    `kept`: (G, R). The last pool is looked at: no task keeps more than k answers, though at the rate at which all
    are kept many would. Generations of which it holds none are not candidates for it.
    """
    import numpy as np
    from scipy.stats import binom

    there = seen.deployed & seen.valid & np.isin(seen.generation, seen.generation[kept[-1]])
    answers = np.bincount(seen.task[there])
    survivors = np.bincount(seen.task[there], weights=kept[-1][there])
    most = int(survivors.max(initial=0))
    rate = survivors.sum() / max(1, answers.sum())
    expected = float(binom.sf(most, answers, rate).sum())
    return most if most and expected >= EXPECTED_BEYOND else None


def decisions(seen: Observations, kept: "NDArray[np.bool_]", allowed: int | None) -> Decisions:
    """`kept`: (G, R)."""
    import numpy as np

    made = seen.deployed & seen.valid & (seen.generation < len(kept))
    sole = made.copy()
    if allowed is not None:
        for generation in range(len(kept)):
            so_far = np.bincount(seen.task[made & (seen.generation <= generation)], minlength=int(seen.task.max()) + 1)
            now = seen.generation == generation
            sole[now] &= so_far[seen.task[now]] <= allowed
    return Decisions(made, _first(seen, kept) & made, sole)


def _first(seen: Observations, kept: "NDArray[np.bool_]") -> "NDArray[np.bool_]":
    """(R,): whether the pool after its own generation holds an answer."""
    import numpy as np

    first: NDArray[np.bool_] = kept[np.minimum(seen.generation, len(kept) - 1), np.arange(len(seen.ids))]
    return first


def validity(seen: Observations, kept: "NDArray[np.bool_]") -> list[Decision]:
    """First decisions on valid and on other deployed answers, by generation and in all, and how many a pool revised."""
    made, first = seen.deployed & (seen.generation < len(kept)), _first(seen, kept)
    out = []
    for generation, now in enumerate(kept):
        new = made & (seen.generation == generation)
        old = made & (seen.generation < generation)
        before = kept[generation - 1] if generation else now
        out.append(
            Decision(
                generation,
                _share(first[new & seen.valid]),
                _share(first[new & ~seen.valid]),
                int((old & before & ~now).sum()),
                int((old & ~before & now).sum()),
            )
        )
    return [*out, Decision(None, _share(first[made & seen.valid]), _share(first[made & ~seen.valid]))]


def _share(kept: "NDArray[np.bool_]") -> Kept | None:
    from statsmodels.stats.proportion import proportion_confint

    if not len(kept):
        return None
    low, high = proportion_confint(int(kept.sum()), len(kept), alpha=1 - CONFIDENCE, method="beta")
    return Kept(len(kept), int(kept.sum()), float(kept.mean()), float(low), float(high))
