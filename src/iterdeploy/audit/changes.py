"""How the model's own answers change from generation to generation, like for like.

The mean of a feature over all valid answers also moves because other tasks get solved: later generations solve larger
tasks, whose plans are longer. So a change is measured within tasks: feature = task + generation, by least squares over
the valid answers to deployed and held-out tasks, where a task that only one generation solved says nothing. Where tasks
are never asked twice (`tasks.fresh`), all tasks of one domain and size stand for one. Errors are clustered by task.
"""

from typing import TYPE_CHECKING

from iterdeploy.audit.design import TINY
from iterdeploy.audit.observe import Observations
from iterdeploy.audit.records import CONFIDENCE, Amount, Change

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def changes(seen: Observations) -> dict[str, Change]:
    """Feature -> how it changes."""
    import numpy as np

    rows = seen.valid
    values, task, generation = seen.values[rows], seen.task[rows], seen.generation[rows]
    if not len(task):
        return {}
    present = [int(one) for one in np.unique(generation)]
    indicators = np.stack([generation == one for one in present], axis=1).astype(float)  # (R, generations)
    groups = np.unique(like(seen)[rows], return_inverse=True)[1]
    within = [demeaned(columns, groups) for columns in (indicators[:, 1:], generation[:, None].astype(float))]
    out = {}
    for name, column in zip(seen.names, values.T, strict=True):
        means = _least_squares(column, indicators, task)
        since, trend = (_least_squares(demeaned(column[:, None], groups)[:, 0], one, task) for one in within)
        out[name] = Change(
            means={number: one for number, one in zip(present, means, strict=True) if one is not None},
            since_first={number: one for number, one in zip(present[1:], since, strict=True) if one is not None},
            trend=trend[0],
        )
    return out


def like(seen: Observations) -> "NDArray[np.int64]":
    """For each answer the group within which generations are compared."""
    import numpy as np

    groups = seen.task.copy()
    for deployed in (True, False):
        rows = seen.deployed == deployed
        asked = {
            (int(task), int(generation))
            for task, generation in zip(seen.task[rows], seen.generation[rows], strict=True)
        }
        if len(asked) == len({task for task, _ in asked}):
            cells = np.unique(np.stack([seen.domain[rows], seen.size[rows]]), axis=1, return_inverse=True)[1]
            groups[rows] = -1 - 2 * cells - deployed
    return groups


def demeaned(columns: "NDArray[np.float64]", groups: "NDArray[np.int64]") -> "NDArray[np.float64]":
    """(R, K) less the mean of each row's group."""
    import numpy as np

    if not columns.shape[1]:
        return columns
    counts = np.bincount(groups)
    means = np.stack([np.bincount(groups, weights=column) / counts for column in columns.T], axis=1)
    centred: NDArray[np.float64] = columns - means[groups]
    return centred


def _least_squares(
    target: "NDArray[np.float64]", columns: "NDArray[np.float64]", clusters: "NDArray[np.int64]"
) -> list[Amount | None]:
    """One amount for each column; None for what is not there to be told."""
    import numpy as np
    from scipy.stats import t
    from statsmodels.regression.linear_model import OLS
    from statsmodels.stats.sandwich_covariance import cov_cluster

    told = [place for place, column in enumerate(columns.T) if np.sum(column**2) > TINY]
    out: list[Amount | None] = [None] * columns.shape[1]
    labels = np.unique(clusters, return_inverse=True)[1]
    freedom = int(labels.max())
    if not told or not freedom:
        return out
    fit = OLS(target, columns[:, told], hasconst=False).fit()
    errors = np.sqrt(np.diag(np.atleast_2d(cov_cluster(fit, labels))))
    reach = float(t.ppf((1 + CONFIDENCE) / 2, freedom))
    for place, value, error in zip(told, fit.params, errors, strict=True):
        p = float(2 * t.sf(abs(value / error), freedom)) if error > TINY else float(abs(value) <= TINY)
        out[place] = Amount(float(value), float(value - reach * error), float(value + reach * error), float(error), p)
    return out
