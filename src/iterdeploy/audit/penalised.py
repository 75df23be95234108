"""Logistic regression with Firth's penalty: finite whatever the data, and nearly unbiased with few decisions.

The log-likelihood gets half the log determinant of the information matrix (Firth, 1993); tests and intervals come from
the penalised likelihood itself, as the curvature at its maximum misleads in small samples (Heinze and Schemper, 2002).
Plain arrays, no files.

R: rows. K: columns.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

MOST_STEPS = 60
FARTHEST = 5.0
"""The most that a coefficient may move in one step."""
TINY = 1e-12
"""Directions of less than this share of the largest information are taken to have none."""
NEAR = 1e-7
"""The fit is done when no coefficient moves farther; columns should be of about unit size."""


@dataclass(frozen=True, slots=True)
class Fit:
    values: "Array"
    """(K,)"""
    information: "Array"
    """(K, K)"""
    covariance: "Array"
    """Of the values, by the model: the inverse of the information, (K, K)."""
    log_likelihood: float
    """The log-likelihood, with the penalty."""
    expected: "Array"
    """Probability that a row is kept, (R,)."""


def fit(matrix: "Array", kept: "Array", weights: "Array", held: Collection[int] = (), at: "Array | None" = None) -> Fit:
    """The maximum over all coefficients but the `held` ones, which stay as they are in `at`, (K,), or 0.

    `matrix`: (R, K). `kept`: 1 or 0, (R,). `weights`: (R,).
    """
    import numpy as np

    values = np.zeros(matrix.shape[1]) if at is None else at.copy()
    free = [place for place in range(len(values)) if place not in held]
    now = _at(values, matrix, kept, weights)
    for _ in range(MOST_STEPS):
        scaled = matrix * np.sqrt(weights * now.expected * (1 - now.expected))[:, None]
        leverage = np.einsum("rk,rk->r", scaled @ now.covariance, scaled)
        score = matrix.T @ (weights * (kept - now.expected) + leverage * (0.5 - now.expected))
        step = np.zeros(len(values)) if held else now.covariance @ score
        if held:
            step[free] = np.linalg.lstsq(now.information[np.ix_(free, free)], score[free])[0]
        step *= min(1.0, FARTHEST / max(float(abs(step).max(initial=0)), NEAR))
        while (moved := _at(now.values + step, matrix, kept, weights)).log_likelihood < now.log_likelihood - 1e-12:
            step /= 2
            if abs(step).max() < NEAR:
                return now
        now = moved
        if abs(step).max(initial=0) < NEAR:
            break
    return now


def _at(values: "Array", matrix: "Array", kept: "Array", weights: "Array") -> Fit:
    import numpy as np

    signed = (2 * kept - 1) * (matrix @ values)
    expected = 1 / (1 + np.exp(-np.clip(matrix @ values, -700, 700)))
    spread = weights * expected * (1 - expected)
    information = matrix.T @ (matrix * spread[:, None])
    sizes, axes = np.linalg.eigh(information)
    there = sizes > TINY * sizes.max(initial=0)
    covariance = (axes[:, there] / sizes[there]) @ axes[:, there].T
    penalty = 0.5 * float(np.log(sizes[there]).sum())
    return Fit(values, information, covariance, penalty - float(weights @ np.logaddexp(0, -signed)), expected)


def likelihood_ratio_p(matrix: "Array", kept: "Array", weights: "Array", full: Fit, tested: Collection[int]) -> float:
    """p of "all the `tested` coefficients are 0", from twice the difference of penalised log-likelihoods."""
    import numpy as np
    from scipy.stats import chi2

    start = full.values.copy()
    start[list(tested)] = 0.0
    restricted = fit(matrix, kept, weights, tested, start)
    return float(chi2.sf(max(0.0, 2 * (full.log_likelihood - restricted.log_likelihood)), len(np.unique(list(tested)))))


def profile_interval(
    matrix: "Array", kept: "Array", weights: "Array", full: Fit, tested: int, confidence: float
) -> tuple[float, float]:
    """The values of one coefficient that a likelihood-ratio test does not reject."""
    from scipy.optimize import brentq
    from scipy.stats import chi2

    allowed = full.log_likelihood - float(chi2.ppf(confidence, 1)) / 2
    error = float(full.covariance[tested, tested]) ** 0.5

    def above(value: float) -> float:
        start = full.values.copy()
        start[tested] = value
        return fit(matrix, kept, weights, (tested,), start).log_likelihood - allowed

    ends = []
    for side in (-1, 1):
        near, reach = float(full.values[tested]), 2 * error
        while above(near + side * reach) > 0 and reach < 64 * error:
            reach *= 2
        far = near + side * reach
        ends.append(float(brentq(above, near, far, xtol=1e-3 * error)) if above(far) < 0 else side * float("inf"))
    return ends[0], ends[1]
