"""How much of what was selected arrives: the breeder's equation, R = h2 S, measured.

The pool that trains a generation has more of a feature than the answers of the generation before: the selection
differential S. The next generation's own answers have more of it, too, by the response R. Their ratio is the realised
heritability (Falconer and Mackay, 1996, chapter 11): 0 where the training does not pass a feature on, 1 where the next
generation writes like its pool.

All are differences on the same tasks, from one regression: feature = task + group, where a group is the valid answers
of one generation or the pool of one, by least squares, with errors clustered by task. An answer in a pool is a row in
both. The ratio's interval is Fieller's, which is unbounded, and then not given, where S is not beyond chance.

R: rows. G: pools.
"""

from typing import TYPE_CHECKING

from iterdeploy.audit.changes import demeaned, like
from iterdeploy.audit.observe import Observations
from iterdeploy.audit.records import CONFIDENCE, Amount, Heritability, Ratio

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]


def heritability(seen: Observations, kept: "NDArray[np.bool_]") -> dict[str, Heritability]:
    """Of each feature that varies. `kept`: (G, R). Nothing where no generation was trained yet."""
    import numpy as np

    last = int(seen.generation[seen.valid].max(initial=0))
    pools = min(len(kept), last)
    answers = np.flatnonzero(seen.valid & (seen.generation <= pools))
    pooled = [np.flatnonzero(kept[number] & seen.valid) for number in range(pools)]
    if not pools or not all(map(len, pooled)):
        return {}
    rows = np.concatenate([answers, *pooled])
    group = np.concatenate([seen.generation[answers], *(np.full(len(of), last + 1 + g) for g, of in enumerate(pooled))])
    labels = [*range(pools + 1), *(last + 1 + g for g in range(pools))]
    indicators = np.stack([group == label for label in labels[1:]], axis=1).astype(float)  # (R, 2 G)
    tasks = np.unique(like(seen)[rows], return_inverse=True)[1]
    columns = demeaned(indicators, tasks)
    responses = np.zeros((pools, 2 * pools))  # of V(g + 1) - V(g), in terms of the indicators; V(0) is the reference
    differentials = np.zeros((pools, 2 * pools))
    for g in range(pools):
        responses[g, g] += 1
        differentials[g, pools + g] += 1
        if g:
            responses[g, g - 1] -= 1
            differentials[g, g - 1] -= 1
    out = {}
    for name, column in zip(seen.names, seen.values[rows].T, strict=True):
        fitted = _fit(demeaned(column[:, None], tasks)[:, 0], columns, seen.task[rows])
        if fitted is not None:
            out[name] = _realised(*fitted, differentials, responses)
    return out


def _fit(target: "Array", columns: "Array", clusters: "NDArray[np.int64]") -> "tuple[Array, Array, int] | None":
    """(coefficients, covariance, degrees of freedom); None where the feature does not vary."""
    import numpy as np

    labels = np.unique(clusters, return_inverse=True)[1]
    bread = np.linalg.pinv(columns.T @ columns)
    values = bread @ (columns.T @ target)
    rest = target - columns @ values
    if float(rest @ rest) <= 1e-9 * max(1.0, len(target)) or labels.max() < 1:
        return None
    sums = np.zeros((int(labels.max()) + 1, columns.shape[1]))
    np.add.at(sums, labels, columns * rest[:, None])
    return values, bread @ (sums.T @ sums) @ bread * len(sums) / (len(sums) - 1), len(sums) - 1


def _realised(
    values: "Array", covariance: "Array", freedom: int, differentials: "Array", responses: "Array"
) -> Heritability:
    def amount(contrast: "Array") -> Amount:
        from scipy.stats import t

        value, error = float(contrast @ values), max(0.0, float(contrast @ covariance @ contrast)) ** 0.5
        reach = float(t.ppf((1 + CONFIDENCE) / 2, freedom)) * error
        p = float(2 * t.sf(abs(value) / error, freedom)) if error > 0 else float(value == 0)
        return Amount(value, value - reach, value + reach, error, p)

    selected, arrived = differentials.sum(axis=0), responses.sum(axis=0)
    both = float(selected @ covariance @ arrived)
    return Heritability(
        selected=amount(selected),
        arrived=amount(arrived),
        realised=fieller(amount(arrived), amount(selected), both, freedom),
        by_generation=[(amount(s), amount(r)) for s, r in zip(differentials, responses, strict=True)],
    )


def fieller(above: Amount, below: Amount, covariance: float, freedom: int) -> Ratio | None:
    """The ratio of two normal numbers with its interval (Fieller, 1954); None where the lower one may be 0.

    >>> found = fieller(Amount(1.0, 0, 0, 0.1, 0), Amount(2.0, 0, 0, 0.1, 0), 0.0, 1_000)
    >>> round(found.value, 3), round(found.low, 3), round(found.high, 3)
    (0.5, 0.395, 0.615)
    """
    from scipy.stats import t

    reach = float(t.ppf((1 + CONFIDENCE) / 2, freedom)) ** 2
    a = below.value**2 - reach * below.error**2
    b = above.value * below.value - reach * covariance
    c = above.value**2 - reach * above.error**2
    if a <= 0:
        return None
    root = max(0.0, b**2 - a * c) ** 0.5
    return Ratio(above.value / below.value, (b - root) / a, (b + root) / a)
