"""How much of what was selected arrives: the breeder's equation, R = h2 S, measured.

The pool that trains a generation has more of a feature than the answers of the generation before: the selection
differential S. The next generation's own answers also have more of it, by the response R. Their ratio is the realised
heritability (Falconer and Mackay, 1996, chapter 11): 0 where the training does not pass a feature on, 1 where the next
generation writes like its pool.

Both are differences among like answers, by least squares: feature = constant + group; a group is the valid answers
of one generation or the pool of one. For the response the constant is the task's. For the differential it is that of
all tasks of one domain and size, because users who keep or drop an answer by itself also select among tasks; but the
task's where curation picks among the answers to one (`rivals_allowed`). Errors are clustered by task, over both. The
ratio's interval is Fieller's, which is unbounded, and then not given, where S is not beyond chance.

R: rows. G: pools. K: contrasts. T: tasks.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from iterdeploy.audit.changes import demeaned, like
from iterdeploy.audit.observe import Observations
from iterdeploy.audit.records import CONFIDENCE, Amount, Heritability, Ratio

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Labels = NDArray[np.int64]


def heritability(seen: Observations, kept: "NDArray[np.bool_]", allowed: int | None) -> dict[str, Heritability]:
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
    generations = np.arange(pools + 1)
    cells = np.unique(np.stack([seen.domain, seen.size.astype(np.int64)]), axis=1, return_inverse=True)[1]
    same = like(seen)
    selection = Compared(
        group, (cells if allowed is None else same)[rows], last + 1 + generations[:-1], generations[:-1]
    )
    response = Compared(group, same[rows], generations[1:], generations[:-1])
    task = np.unique(seen.task[rows], return_inverse=True)[1]
    out = {}
    for name, column in zip(seen.names, seen.values[rows].T, strict=True):
        if column.std() > 1e-9:
            out[name] = _realised(selection.of(column, task), response.of(column, task))
    return out


@dataclass(frozen=True, slots=True)
class Differences:
    values: "Array"
    """(K,)"""
    influence: "Array"
    """By how much each task moves each of them, (T, K)."""


@dataclass(frozen=True, slots=True)
class Compared:
    """Differences between groups of rows, like for like."""

    group: "Labels"
    """(R,)"""
    like: "Labels"
    """Rows with the same number are compared, (R,)."""
    more: "Labels"
    """The groups whose means count, (K,) ..."""
    less: "Labels"
    """... and those from which they are taken, (K,)."""

    def of(self, column: "Array", task: "Labels") -> Differences:
        """`column`: the feature, (R,)."""
        import numpy as np

        labels = np.unique(self.group)
        like = np.unique(self.like, return_inverse=True)[1]
        columns = demeaned((self.group[:, None] == labels[None, 1:]).astype(float), like)
        target = demeaned(column[:, None], like)[:, 0]
        bread = np.linalg.pinv(columns.T @ columns)
        values = bread @ (columns.T @ target)
        scores = np.zeros((int(task.max()) + 1, columns.shape[1]))
        np.add.at(scores, task, columns * (target - columns @ values)[:, None])
        contrasts = (labels[None, 1:] == self.more[:, None]).astype(float) - (labels[None, 1:] == self.less[:, None])
        return Differences(contrasts @ values, scores @ bread @ contrasts.T)


def _realised(selected: Differences, arrived: Differences) -> Heritability:
    total, response = selected.influence.sum(axis=1), arrived.influence.sum(axis=1)
    freedom = len(total) - 1
    above, below = _amount(float(arrived.values.sum()), response), _amount(float(selected.values.sum()), total)
    return Heritability(
        selected=below,
        arrived=above,
        realised=fieller(above, below, float(total @ response), freedom),
        by_generation=[
            (_amount(float(s), moved_s), _amount(float(r), moved_r))
            for s, moved_s, r, moved_r in zip(
                selected.values, selected.influence.T, arrived.values, arrived.influence.T, strict=True
            )
        ],
    )


def _amount(value: float, influence: "Array") -> Amount:
    """`influence`: of each task, (T,)."""
    from scipy.stats import t

    clusters = len(influence)
    error = float(influence @ influence * clusters / max(1, clusters - 1)) ** 0.5
    reach = float(t.ppf((1 + CONFIDENCE) / 2, max(1, clusters - 1))) * error
    p = float(2 * t.sf(abs(value) / error, max(1, clusters - 1))) if error > 0 else float(value == 0)
    return Amount(value, value - reach, value + reach, error, p)


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
