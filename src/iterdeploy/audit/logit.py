"""Logistic regression that knows what it cannot tell: coefficients with intervals, or why there is none.

log odds(kept) = sum_f coefficient_f * feature_f + nuisance, fitted with statsmodels. Three things are looked for before
a number is given:

- A feature that follows from others is left out (`design.choose`).
- A feature that decides alone and always (every answer with the marker was kept; the shorter plan won every choice) has
  an infinite coefficient. It is reported as such, with a one-sided bound, and the other features are estimated from the
  rows that it leaves undecided: the limiting conditional model of Geyer (2009), which for "shortest, then fewest
  tokens" peels off one criterion after the other.
- Any other perfect separation is found by a linear programme (Konis, 2007); the last feature that it needs is left out.

Where there are few decisions the likelihood is penalised (`penalised`).

Standard errors are the larger of the model's own and those clustered by task: the clustered ones allow for what answers
to one task share but are too small for rare features, the model's own are not (Angrist and Pischke, 2009, section 8.2).

R: rows. K: columns.
"""

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from iterdeploy.audit import penalised
from iterdeploy.audit.design import Design, choose, orthonormal
from iterdeploy.audit.records import CONFIDENCE, Coefficient

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

HOPELESS_INFLATION = 100.0
"""The variance inflation allowed within one generation, whose features were chosen over all generations."""
ENOUGH_DECISIONS = 5
"""Of the rarer outcome, for each coefficient (Vittinghoff and McCulloch, 2007); fewer need a penalty."""
FEWEST_DECISIONS = 1
"""With fewer than this nothing is estimated."""


def estimate(design: Design) -> dict[str, Coefficient]:
    """A coefficient for each feature of the design."""
    design, out = _told_apart(design)
    unbounded: list[tuple[str, int, NDArray[np.bool_], Design]] = []
    while True:
        if (found := _decides_alone(design)) is not None:
            name, sign, rows = found
            unbounded.append((name, sign, rows, design))
            design, hidden = _told_apart(design.without(name).only(~rows))
            where = f" where {unbounded[0][0]} leaves it open"
            out.update({other: Coefficient(note=one.note + where) for other, one in hidden.items()})
        elif few(design) or (separation := _separation(design)) is None:
            break
        elif separation.needs:
            out[separation.needs] = Coefficient(note="with others it tells kept from dropped perfectly")
            design = design.without(separation.needs)
        else:
            design = design.only(~separation.rows)
    out.update(_fitted(design))
    settled = [name for name in design.names if out[name].value is not None]
    for name, sign, rows, before in unbounded:
        out[name] = _bounded(before.pick([name, *settled]), rows, sign)
    return out


def _told_apart(design: Design) -> tuple[Design, dict[str, Coefficient]]:
    entered, left_out = choose(design, dict.fromkeys(design.names, HOPELESS_INFLATION))
    return design.pick(entered), {name: Coefficient(note=reason.why) for name, reason in left_out.items()}


def _wanted(design: Design) -> int:
    """Coefficients to be estimated."""
    import numpy as np

    return len(design.names) + (0 if design.paired else int(np.linalg.matrix_rank(design.nuisance)))


def few(design: Design) -> bool:
    """Whether the likelihood has to be penalised."""
    return design.rarer < ENOUGH_DECISIONS * _wanted(design)


def hopeless(design: Design) -> bool:
    """Whether nothing can be estimated at equal other features."""
    return design.rarer < FEWEST_DECISIONS * _wanted(design)


def _fitted(design: Design) -> dict[str, Coefficient]:
    import numpy as np
    from scipy.stats import t
    from statsmodels.stats.sandwich_covariance import cov_cluster

    if not design.names:
        return {}
    if hopeless(design):
        note = f"too few decisions: {design.rarer:.0f} of the rarer kind for {_wanted(design)} coefficients"
        return {name: Coefficient(note=note) for name in design.names}
    scales = np.sqrt(np.mean(design.columns**2, axis=0))
    matrix = np.column_stack([design.columns / scales, orthonormal(design.nuisance)])
    if few(design):
        return _penalised(design, matrix, scales)
    fit = _glm(design, matrix)
    clusters = np.unique(design.clusters, return_inverse=True)[1]
    own, clustered = np.diag(fit.cov_params()), np.diag(cov_cluster(fit, clusters))
    errors = np.sqrt(np.maximum(own, clustered))
    freedom = int(clusters.max())
    reach = float(t.ppf((1 + CONFIDENCE) / 2, freedom))
    out = {}
    for name, value, error, scale in zip(design.names, fit.params, errors, scales, strict=False):
        out[name] = Coefficient(
            value=float(value / scale),
            low=float((value - reach * error) / scale),
            high=float((value + reach * error) / scale),
            error=float(error / scale),
            p=float(2 * t.sf(abs(value / error), freedom)),
        )
    return out


def _penalised(design: Design, matrix: "NDArray[np.float64]", scales: "NDArray[np.float64]") -> dict[str, Coefficient]:
    import numpy as np

    fit = penalised.fit(matrix, design.kept, design.weights)
    errors = np.sqrt(np.diag(fit.covariance))
    out = {}
    for place, (name, scale) in enumerate(zip(design.names, scales.tolist(), strict=True)):
        low, high = penalised.profile_interval(matrix, design.kept, design.weights, fit, place, CONFIDENCE)
        out[name] = Coefficient(
            value=float(fit.values[place]) / scale,
            low=low / scale if np.isfinite(low) else None,
            high=high / scale if np.isfinite(high) else None,
            error=float(errors[place]) / scale,
            p=penalised.likelihood_ratio_p(matrix, design.kept, design.weights, fit, [place]),
        )
    return out


def _glm(design: Design, matrix: "NDArray[np.float64]") -> Any:
    """The model of the design's decisions by these columns, (R, K), fitted."""
    from statsmodels.genmod.families import Binomial
    from statsmodels.genmod.generalized_linear_model import GLM

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of separation, which has been looked for
        return GLM(design.kept, matrix, family=Binomial(), var_weights=design.weights, hasconst=False).fit()


def _decides_alone(design: Design) -> "tuple[str, int, NDArray[np.bool_]] | None":
    """Of the features whose every row went the same way: the one with most of them, which way, and the rows."""
    import numpy as np

    found = []
    for name, column in zip(design.names, design.columns.T, strict=True):
        if not len(column):
            continue
        if design.paired:
            rows = column != 0
            signs = np.sign(column[rows])
            if rows.any() and (signs == signs[0]).all():
                found.append((name, int(signs[0]), rows))
            continue
        values = np.unique(column)
        if len(values) != 2:
            continue
        for value, sign in zip(values, (-1, 1), strict=True):
            rows = column == value
            outcome = design.kept[rows]
            if (outcome == outcome[0]).all():
                found.append((name, sign if outcome[0] else -sign, rows))
    return max(found, key=lambda one: int(one[2].sum()), default=None)


@dataclass(frozen=True, slots=True)
class Separation:
    """A direction in which kept and dropped rows part."""

    needs: str
    """The last feature in it; empty if it is made of nuisance alone."""
    rows: "NDArray[np.bool_]"
    """The rows that it separates, (R,)."""


def _separation(design: Design) -> Separation | None:
    import numpy as np
    from scipy.optimize import linprog

    matrix = np.column_stack([design.columns, orthonormal(design.nuisance)])
    if not matrix.size:
        return None
    signed = (2 * design.kept - 1)[:, None] * matrix / np.sqrt(np.mean(matrix**2, axis=0))
    best = linprog(-signed.sum(axis=0), A_ub=-signed, b_ub=np.zeros(len(signed)), bounds=(-1, 1), method="highs")
    if -best.fun <= 1e-6:
        return None
    used = [name for name, along in zip(design.names, best.x, strict=False) if abs(along) > 1e-6]
    return Separation(used[-1] if used else "", signed @ best.x > 1e-7)


def _bounded(design: Design, rows: "NDArray[np.bool_]", sign: int) -> Coefficient:
    """The infinite coefficient of the design's first feature, which alone decides these rows.

    If it were v, all these rows would have gone the way they did with a probability that the other coefficients, as
    the other rows show them, turn into a number; the bound is the v at which that is (1 - CONFIDENCE) / 2. With nothing
    but a pair in every row this is the bound of Clopper and Pearson.
    """
    import numpy as np
    from scipy.optimize import brentq

    others = design.pick(design.names[1:])
    matrix = np.column_stack([others.columns, orthonormal(others.nuisance)])
    rest = others.only(~rows)
    usual = np.zeros(int(rows.sum()))
    if matrix.size and len(rest.kept):
        usual = matrix[rows] @ penalised.fit(matrix[~rows], rest.kept, rest.weights).values
    toward = 2 * design.kept[rows] - 1
    column = design.columns[rows, 0] - (0.0 if design.paired else design.columns[~rows, 0][0])

    def log_probability(value: float) -> float:
        return -float(np.sum(design.weights[rows] * np.logaddexp(0, -toward * (usual + value * column))))

    rare = float(np.log((1 - CONFIDENCE) / 2))
    reach = sign / float(abs(column).mean())
    near, far = -reach, reach
    while log_probability(near) > rare:
        near *= 2
    while log_probability(far) < rare:
        far *= 2
    bound = float(brentq(lambda value: log_probability(value) - rare, near, far))
    return Coefficient(
        low=bound if sign > 0 else None,
        high=bound if sign < 0 else None,
        p=min(1.0, 2 * float(np.exp(log_probability(0.0)))),
        always=sign,
        decided=int(rows.sum()),
    )
