"""What a regression is fitted to, and which features can be told apart in it.

R: rows. F: features. M: nuisance columns.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MOST_INFLATION = 10.0
"""Of the variance of any coefficient by the features entered besides it: what it would be without them is 1."""
NO_EXCEPTIONS: Mapping[str, float] = {}
TINY = 1e-9
"""Relative variance below which a column counts as constant."""


@dataclass(frozen=True, slots=True)
class Design:
    """What a regression is fitted to."""

    names: tuple[str, ...]
    columns: "NDArray[np.float64]"
    """(R, F)"""
    tasks: "NDArray[np.float64]"
    """What like tasks share, (R, M); no columns where rows are differences between two answers to one task, of which
    the first was kept."""
    when: "NDArray[np.float64]"
    """Which generation's answer it is, (R, generations less one)."""
    kept: "NDArray[np.float64]"
    """1 or 0, (R,)"""
    weights: "NDArray[np.float64]"
    """(R,)"""
    clusters: "NDArray[np.int64]"
    """Task of each row, (R,)"""

    @property
    def paired(self) -> bool:
        return not self.tasks.shape[1]

    @property
    def nuisance(self) -> "NDArray[np.float64]":
        """All that is not a feature, (R, M)."""
        import numpy as np

        return np.concatenate([self.tasks, self.when], axis=1)

    def only(self, rows: "NDArray[np.bool_] | NDArray[np.int64]") -> "Design":
        return replace(
            self,
            columns=self.columns[rows],
            tasks=self.tasks[rows],
            when=self.when[rows],
            kept=self.kept[rows],
            weights=self.weights[rows],
            clusters=self.clusters[rows],
        )

    def at_the_time_of(self, other: "Design") -> "Design":
        """The same answers as if they were of the generation that all of the other design's are of."""
        import numpy as np

        return replace(self, when=np.repeat(other.when[:1], len(self.kept), axis=0))

    def pick(self, names: Sequence[str]) -> "Design":
        places = [self.names.index(name) for name in names]
        return replace(self, names=tuple(names), columns=self.columns[:, places])

    def without(self, name: str) -> "Design":
        return self.pick([other for other in self.names if other != name])

    @property
    def rarer(self) -> float:
        """How many decisions of the rarer outcome there are; a pair counts half for each."""
        if self.paired:
            return float(self.weights.sum()) / 2
        return float(min(self.kept.sum(), (1 - self.kept).sum()))


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A feature that cannot be told apart from those entered."""

    why: str
    like: tuple[str, ...] = ()
    """The entered features in whose place it could have been entered: which of them is rewarded cannot be told. None
    where it does not vary, or is a sum of others, whose coefficients then speak for it."""


def choose(design: Design, most: Mapping[str, float] = NO_EXCEPTIONS) -> tuple[tuple[str, ...], dict[str, LeftOut]]:
    """The features that can be told apart, in order of precedence, and why the others are left out.

    `most`: feature -> how many times its entering may inflate a variance, where that is not `MOST_INFLATION`.
    """
    import numpy as np

    left_out: dict[str, LeftOut] = {}
    entered: dict[str, NDArray[np.float64]] = {}  # what the nuisance leaves of each, of length 1
    before: dict[str, float] = {}  # inflation of each
    nuisance = orthonormal(design.nuisance)
    for name, column in zip(design.names, design.columns.T, strict=True):
        around = 0.0 if design.paired or not len(column) else column.mean()
        total = float(np.sum((column - around) ** 2))
        own = _residual(column, nuisance)
        length = float(np.linalg.norm(own))
        if length**2 <= TINY * max(total, 1):
            left_out[name] = LeftOut("it does not vary" + (" between answers to like tasks" if total > TINY else ""))
            continue
        together = {**entered, name: own / length}
        limit = most.get(name, MOST_INFLATION)
        inflation = dict(zip(together, _inflation(np.stack(list(together.values()), axis=1)), strict=True))
        if inflation[name] > limit:
            helpers = _explaining(own, entered)
            why = f"{1 - 1 / inflation[name]:.1%} of its variation follows from {' and '.join(helpers)}"
            left_out[name] = LeftOut(why, tuple(helpers) if len(helpers) == 1 else ())
            continue
        most_in_all = max(limit, MOST_INFLATION)
        drowned = [other for other in before if inflation[other] > min(most_in_all, limit * before[other])]
        if drowned:
            share = 1 - 1 / inflation[drowned[0]]
            why = f"with it, {share:.1%} of the variation of {drowned[0]} would follow from the others"
            left_out[name] = LeftOut(why, tuple(other for other in drowned if inflation[other] > MOST_INFLATION))
            continue
        entered, before = together, inflation
    return tuple(entered), left_out


def orthonormal(columns: "NDArray[np.float64]") -> "NDArray[np.float64]":
    """Orthonormal columns that span the same space."""
    import numpy as np

    left, sizes, _ = np.linalg.svd(columns, full_matrices=False)
    spanning: NDArray[np.float64] = left[:, sizes > TINY * sizes.max(initial=0)]
    return spanning


def spanning(columns: "NDArray[np.float64]") -> "NDArray[np.float64]":
    """The map from rows of these columns, (R, M), to rows of orthonormal ones that span the same space, (M, rank)."""
    import numpy as np

    _, sizes, right = np.linalg.svd(columns, full_matrices=False)
    there = sizes > TINY * sizes.max(initial=0)
    out: NDArray[np.float64] = right[there].T / sizes[there]
    return out


def _residual(column: "NDArray[np.float64]", basis: "NDArray[np.float64]") -> "NDArray[np.float64]":
    """What of the column the orthonormal basis leaves; done twice, because once loses digits."""
    for _ in range(2):
        column = column - basis @ (basis.T @ column)
    return column


def _inflation(columns: "NDArray[np.float64]") -> "NDArray[np.float64]":
    """Variance inflation of each column of length 1 by the others."""
    import numpy as np

    sizes, axes = np.linalg.eigh(columns.T @ columns)
    factors: NDArray[np.float64] = (axes**2 / np.maximum(sizes, TINY)).sum(axis=1)
    return factors


def _explaining(target: "NDArray[np.float64]", others: Mapping[str, "NDArray[np.float64]"]) -> list[str]:
    """At most the two columns that say most about the target."""
    import numpy as np

    found: list[str] = []
    rest, left = target, dict(others)
    while len(found) < 2 and left and rest @ rest > target @ target / MOST_INFLATION:
        said = {name: float(rest @ other) ** 2 / max(float(other @ other), TINY) for name, other in left.items()}
        best = max(said, key=said.__getitem__)
        found.append(best)
        direction = left.pop(best)
        direction = direction / np.linalg.norm(direction)
        rest = rest - direction * (direction @ rest)
        left = {name: other - direction * (direction @ other) for name, other in left.items()}
    return found
