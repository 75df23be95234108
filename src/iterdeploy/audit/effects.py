"""Effects on the share kept, and tests of several features at once, from one penalised fit of all of them.

R: rows. F: features. K: columns.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from iterdeploy.audit import penalised
from iterdeploy.audit.design import Design, spanning
from iterdeploy.audit.records import Shares
from iterdeploy.audit.shares import standardised

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Joint:
    """All features of a design, fitted together."""

    design: Design
    scales: "Array"
    """What each feature was divided by, (F,)."""
    basis: "Array"
    """From nuisance to the columns that were fitted, (M, K - F)."""
    matrix: "Array"
    """(R, K)"""
    fit: penalised.Fit
    level: "Array"
    """The fitted values, with the intercept moved so that as many answers are expected to be kept as were, (K,): the
    penalty alone pulls shares towards a half (Puhr et al., 2017)."""
    covariances: "tuple[Array, Array]"
    """The model's own, and with tasks as clusters, (K, K)."""


def together(design: Design) -> Joint:
    import numpy as np

    scales = np.sqrt(np.mean(design.columns**2, axis=0))
    basis = spanning(design.nuisance) * len(design.kept) ** 0.5  # columns of unit size, as the fit wants them
    matrix = np.column_stack([design.columns / scales, design.nuisance @ basis])
    fit = penalised.fit(matrix, design.kept, design.weights)
    level = fit.values if design.paired else _levelled(matrix, design, fit)
    expected = 1 / (1 + np.exp(-np.clip(matrix @ level, -700, 700)))
    own = fit.covariance
    scores = matrix * (design.weights * (design.kept - expected))[:, None]
    cluster = np.unique(design.clusters, return_inverse=True)[1]
    sums = np.zeros((int(cluster.max()) + 1, matrix.shape[1]))
    np.add.at(sums, cluster, scores)
    clustered: Array = own @ (sums.T @ sums) @ own * len(sums) / max(1, len(sums) - 1)
    return Joint(design, scales, basis, matrix, fit, level, (own, clustered))


def _levelled(matrix: "Array", design: Design, fit: penalised.Fit) -> "Array":
    import numpy as np
    from scipy.optimize import brentq

    features = len(design.names)
    constant = np.zeros(matrix.shape[1])  # its product with every row is 1
    constant[features:] = matrix[:, features:].mean(axis=0)
    along = matrix @ fit.values

    def too_many(shift: float) -> float:
        return float(design.weights @ (1 / (1 + np.exp(-np.clip(along + shift, -700, 700))) - design.kept))

    out: Array = fit.values + constant * float(brentq(too_many, -30, 30))
    return out


def shares(
    joint: Joint, population: Design, markers: Mapping[str, bool], spread: Mapping[str, float]
) -> dict[str, Shares]:
    """Of each feature, among the answers of `population`, whose columns are those of the joint design.

    Answers to tasks unlike all that were fitted (another domain) are left out.
    """
    import numpy as np

    nuisance = population.nuisance
    there = abs(nuisance - nuisance @ joint.basis @ np.linalg.pinv(joint.basis)).max(axis=1, initial=0) < 1e-6
    chosen = population if there.all() or not there.any() else population.only(there)
    rows = np.column_stack([chosen.columns / joint.scales, chosen.nuisance @ joint.basis])
    if joint.design.paired:
        rows = np.concatenate([rows, -rows])
    out = {}
    for place, name in enumerate(joint.design.names):
        scale, column = float(joint.scales[place]), rows[:, place]
        step = (1.0 if markers[name] else spread[name]) / scale
        if joint.design.paired:
            more, less = np.full(len(rows), step), np.full(len(rows), -step)
        elif markers[name]:
            more, less = np.full(len(rows), step), np.zeros(len(rows))
        else:
            more, less = column + step / 2, column - step / 2
        out[name] = standardised(joint.level, joint.covariances, rows, place, more, less)
    return out


def joint_p(joint: Joint, names: Sequence[str]) -> float:
    """p of "none of these features is rewarded": the larger of the penalised likelihood ratio's and Wald's, the latter
    with tasks as clusters."""
    import numpy as np
    from scipy.stats import chi2

    places = [joint.design.names.index(name) for name in names]
    design = joint.design
    ratio = penalised.likelihood_ratio_p(joint.matrix, design.kept, design.weights, joint.fit, places)
    values, covariance = joint.fit.values[places], joint.covariances[1][np.ix_(places, places)]
    wald = float(values @ np.linalg.pinv(covariance, hermitian=True) @ values)
    return max(ratio, float(chi2.sf(wald, len(places))))
