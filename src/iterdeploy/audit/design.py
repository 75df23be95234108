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
"""Of the variance of any coefficient by the features entered beside it: what it would be without them is 1."""
NO_EXCEPTIONS: Mapping[str, float] = {}
TINY = 1e-9
"""Relative variance below which a column counts as constant."""


@dataclass(frozen=True, slots=True)
class Design:
    """What a regression is fitted to."""

    names: tuple[str, ...]
    columns: "NDArray[np.float64]"
    """(R, F)"""
    nuisance: "NDArray[np.float64]"
    """(R, M); no columns where rows are differences between two answers, of which the first was kept."""
    kept: "NDArray[np.float64]"
    """1 or 0, (R,)"""
    weights: "NDArray[np.float64]"
    """(R,)"""
    clusters: "NDArray[np.int64]"
    """Task of each row, (R,)"""

    @property
    def paired(self) -> bool:
        return not self.nuisance.shape[1]

    def only(self, rows: "NDArray[np.bool_]") -> "Design":
        return replace(
            self,
            columns=self.columns[rows],
            nuisance=self.nuisance[rows],
            kept=self.kept[rows],
            weights=self.weights[rows],
            clusters=self.clusters[rows],
        )

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


def choose(design: Design, most: Mapping[str, float] = NO_EXCEPTIONS) -> tuple[tuple[str, ...], dict[str, str]]:
    """The features that can be told apart, in order of precedence, and why the others are left out.

    `most`: feature -> how many times its entering may inflate a variance, where that is not `MOST_INFLATION`.
    """
    import numpy as np

    left_out: dict[str, str] = {}
    entered: dict[str, NDArray[np.float64]] = {}  # what the nuisance leaves of each, of length 1
    before: dict[str, float] = {}  # inflation of each
    nuisance = orthonormal(design.nuisance)
    for name, column in zip(design.names, design.columns.T, strict=True):
        around = 0.0 if design.paired or not len(column) else column.mean()
        total = float(np.sum((column - around) ** 2))
        own = _residual(column, nuisance)
        length = float(np.linalg.norm(own))
        if length**2 <= TINY * max(total, 1):
            left_out[name] = "it does not vary" + (" between answers to like tasks" if total > TINY else "")
            continue
        together = {**entered, name: own / length}
        limit = most.get(name, MOST_INFLATION)
        inflation = dict(zip(together, _inflation(np.stack(list(together.values()), axis=1)), strict=True))
        if inflation[name] > limit:
            helpers = " and ".join(_explaining(own, entered))
            left_out[name] = f"{1 - 1 / inflation[name]:.1%} of its variation follows from {helpers}"
            continue
        most_in_all = max(limit, MOST_INFLATION)
        drowned = [other for other in before if inflation[other] > min(most_in_all, limit * before[other])]
        if drowned:
            share = 1 - 1 / inflation[drowned[0]]
            left_out[name] = f"with it, {share:.1%} of the variation of {drowned[0]} would follow from the others"
            continue
        entered, before = together, inflation
    return tuple(entered), left_out


def orthonormal(columns: "NDArray[np.float64]") -> "NDArray[np.float64]":
    """Orthonormal columns that span the same space."""
    import numpy as np

    left, sizes, _ = np.linalg.svd(columns, full_matrices=False)
    spanning: NDArray[np.float64] = left[:, sizes > TINY * sizes.max(initial=0)]
    return spanning


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
