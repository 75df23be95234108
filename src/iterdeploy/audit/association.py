"""Each feature alone: is it associated with being kept, among like answers? Exact where answers are few.

Within a stratum (like tasks of one generation, or the answers to one task) every assignment of the decisions to the
answers is equally likely if the feature does not matter. For a marker, 0 or 1, the number of kept answers that have it
is then a sum of hypergeometric numbers, whose distribution is computed (Fisher's exact test, in strata); for any other
feature it is drawn by permuting decisions, or taken as normal where there are many of them.

The estimate is the difference of shares kept for a unit of the feature, within strata: for a marker the difference of
Mantel and Haenszel. Differences of shares are collapsible: something else that also matters, but is independent of the
feature, leaves them as they are. Ratios of odds are not (Greenland, Robins and Pearl, 1999).

R: rows. F: features. S: strata. B: permutations.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from iterdeploy.audit.records import CONFIDENCE, Amount

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Labels = NDArray[np.int64]

PERMUTATIONS = 19_999
MOST_DRAWN = 10_000_000
"""Random numbers for permutations, at most; with more answers there are fewer permutations."""
MANY = 100
"""Decisions of the rarer kind from which on a sum over them is taken as normal."""
MOST_EXACT = 3_000
"""Answers with a marker up to which the exact distribution is computed."""


@dataclass(frozen=True, slots=True)
class Decided:
    """Decisions on answers, in strata. Strata that kept all of theirs or nothing say nothing."""

    kept: "Array"
    """1 or 0, (R,)"""
    strata: "Labels"
    """Number of the stratum, from 0, (R,)."""
    clusters: "Labels"
    """Answers whose decisions may depend on each other, (R,)."""

    def centred(self, columns: "Array") -> "Array":
        """(R, F) less the mean of each row's stratum."""
        import numpy as np

        counts = np.bincount(self.strata)
        means = np.stack([np.bincount(self.strata, weights=column) / counts for column in columns.T], axis=1)
        out: Array = columns - means[self.strata]
        return out


def decided(kept: "Array", strata: "Labels", clusters: "Labels") -> "tuple[Decided, NDArray[np.bool_]]":
    """The decisions in strata that compare something, and which rows these are, (R,)."""
    import numpy as np

    labels = np.unique(strata, return_inverse=True)[1]
    share = np.bincount(labels, weights=kept) / np.bincount(labels)
    rows = (share[labels] > 0) & (share[labels] < 1)
    return Decided(kept[rows], np.unique(strata[rows], return_inverse=True)[1], clusters[rows]), rows


def associations(columns: "Array", of: Decided) -> list[Amount | None]:
    """For each feature, (R, F), the difference of shares kept for a unit of it; None where it does not vary."""
    import numpy as np

    if not columns.size:
        return [None] * columns.shape[1]
    centred, decisions = of.centred(columns), of.centred(of.kept[:, None])[:, 0]
    markers = np.isin(columns, (0.0, 1.0)).all(axis=0) & (columns.sum(axis=0) <= MOST_EXACT)
    few = min(of.kept.sum(), (1 - of.kept).sum()) < MANY and not markers.all()
    drawn = _permuted_sums(centred, of) if few else None  # (B, F)
    cluster = np.unique(of.clusters, return_inverse=True)[1]
    rows, strata, clusters = len(of.kept), int(of.strata.max()) + 1, int(cluster.max()) + 1
    out: list[Amount | None] = []
    for place, (column, within) in enumerate(zip(columns.T, centred.T, strict=True)):
        squares = float(within @ within)
        if squares <= 1e-9 * max(1.0, float(column @ column)):
            out.append(None)
            continue
        slope = float(within @ decisions) / squares
        influence = (decisions - slope * within) * within
        together = np.bincount(cluster, weights=influence)
        alone = float(influence @ influence) * rows / max(1, rows - strata - 1)
        clustered = float(together @ together) * clusters / max(1, clusters - 1)
        if markers[place]:
            p = _exact(column, of)
            alone = max(alone, squares * _variance_of_few(column, of.kept))
        elif drawn is not None:
            seen = abs(float(within @ of.kept)) * (1 - 1e-9)
            p = (1 + int((abs(drawn[:, place]) >= seen).sum())) / (1 + len(drawn))
        else:
            p = _normal(within, of)
        inflation = max(1.0, clustered / alone) if alone > 0 else 1.0
        error = max(alone, clustered) ** 0.5 / squares
        most = 1.0 if markers[place] else np.inf
        out.append(_amount(slope, error, _inflated(p, inflation), clusters - 1, most))
    return out


def _amount(value: float, error: float, p: float, freedom: int, most: float) -> Amount:
    from scipy.stats import t

    reach = float(t.ppf((1 + CONFIDENCE) / 2, max(1, freedom))) * error
    return Amount(value, max(-most, value - reach), min(most, value + reach), error, p)


def _inflated(p: float, inflation: float) -> float:
    """p where the variance is `inflation` times what the test took it to be."""
    from scipy.stats import norm

    return float(2 * norm.sf(norm.isf(p / 2) / inflation**0.5)) if inflation > 1 and p > 0 else p


def _variance_of_few(marker: "Array", kept: "Array") -> float:
    """Of a decision, mean over both groups, with one more of each kind in either: no group is sure because all four of
    its answers were kept (Agresti and Caffo, 2000)."""
    variances = []
    for group in (kept[marker == 1], kept[marker == 0]):
        share = (group.sum() + 1) / (len(group) + 2)
        variances.append(share * (1 - share))
    having = marker.mean()
    return float(variances[0] * (1 - having) + variances[1] * having)


def _exact(marker: "Array", of: Decided) -> float:
    """Two-sided: the probability of all numbers of kept answers with the marker that are no likelier than this one."""
    import numpy as np

    factorial = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, len(marker) + 1)))])

    def choose(total: "int | Labels", some: "int | Labels") -> "Array":
        out: Array = factorial[total] - factorial[some] - factorial[total - some]
        return out

    answers, having = np.bincount(of.strata), np.bincount(of.strata, weights=marker).astype(int)
    keeping = np.bincount(of.strata, weights=of.kept).astype(int)
    chances, least = np.ones(1), 0
    for total, with_it, kept in zip(answers.tolist(), having.tolist(), keeping.tolist(), strict=True):
        low, high = max(0, kept - (total - with_it)), min(kept, with_it)
        counts = np.arange(low, high + 1)
        likely = choose(with_it, counts) + choose(total - with_it, kept - counts) - choose(total, kept)
        chances = np.convolve(chances, np.exp(likely))
        least += low
    seen = chances[round(float(marker @ of.kept)) - least]
    return min(1.0, float(chances[chances <= seen * (1 + 1e-7)].sum()))


def _permuted_sums(centred: "Array", of: Decided) -> "Array":
    """Sums of the columns over the kept rows, with the decisions of each stratum dealt at random, (B, F).

    The seed is fixed: the audit of the same pool says the same.
    """
    import numpy as np

    dice, rows = np.random.default_rng(0), len(of.kept)
    counts = np.bincount(of.strata)
    place = np.arange(rows) - np.repeat(np.cumsum(counts) - counts, counts)  # within the stratum, rows in its order
    dealt = place < np.repeat(np.bincount(of.strata, weights=of.kept), counts)
    sums, left = [], min(PERMUTATIONS, max(199, MOST_DRAWN // rows))
    while left > 0:
        some = min(left, max(1, 1_000_000 // rows))
        order = np.argsort(of.strata + dice.random((some, rows)), axis=1)
        sums.append(centred[order[:, dealt]].sum(axis=1))
        left -= some
    return np.concatenate(sums)


def _normal(centred: "Array", of: Decided) -> float:
    """By the mean, 0, and variance that the sum over kept rows has under permutation within strata."""
    import numpy as np
    from scipy.stats import norm

    total, keeping = np.bincount(of.strata), np.bincount(of.strata, weights=of.kept)
    squares = np.bincount(of.strata, weights=centred**2)
    variance = float((keeping * (total - keeping) / (total * np.maximum(1, total - 1)) * squares).sum())
    return float(2 * norm.sf(abs(float(centred @ of.kept)) / variance**0.5)) if variance > 0 else 1.0
