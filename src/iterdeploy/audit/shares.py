"""What a feature does to the share kept, at equal other features; and whether that changes over the generations.

From a fitted logistic regression: the mean probability of being kept if all answers had more of the feature, and if all
had less, the rest of each answer as it is. Their difference is the average marginal effect. Ratios of odds are not
collapsible: a second preference that nobody measures shrinks them, and makes them change when it becomes more common,
though nothing that concerns the feature has changed. A difference of shares stays where it is if what is unmeasured is
independent of the feature.

A change is only believed where four scales agree (`drift`), because each of them stays constant under another change
that has nothing to do with the feature:

- ratio of the shares kept: the same share of all answers is dropped for another reason;
- ratio of the shares dropped: the same share of all answers is kept whatever it is like;
- ratio of odds: all log-odds move by the same amount;
- difference of shares: half of the unknown, say, is one of the second kind and half one of the first.

R: rows. K: columns.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from iterdeploy.audit.records import CONFIDENCE, Amount, Contrast, Shares

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

SCALES = ("difference", "kept", "dropped", "odds")
SURE = 1e-6
"""No share is taken to be nearer to 0 or 1 than this, where its logarithm is taken."""


def standardised(
    values: "Array", covariances: "Sequence[Array]", population: "Array", place: int, more: "Array", less: "Array"
) -> Shares:
    """Shares kept with more and with less of the feature in column `place` of the population.

    `population`: (R, K). `more`, `less`: what that column is then, (R,). `covariances`: of `values`, (K, K) each; the
    one that gives the larger error is used.
    """
    import numpy as np

    chances, slopes = [], []
    for column in (more, less):
        rows = population.copy()
        rows[:, place] = column
        p = 1 / (1 + np.exp(-np.clip(rows @ values, -700, 700)))
        chances.append(float(p.mean()))
        slopes.append((p * (1 - p)) @ rows / len(rows))
    gradient = np.stack(slopes)  # (2, K)
    spreads = [gradient @ covariance @ gradient.T for covariance in covariances]
    spread = max(spreads, key=lambda one: float(np.array([1, -1]) @ one @ np.array([1, -1])))
    covariance = (float(spread[0, 0]), float(spread[0, 1]), float(spread[1, 1]))
    difference = amount(chances[0] - chances[1], covariance[0] - 2 * covariance[1] + covariance[2])
    return Shares(chances[0], chances[1], covariance, difference)


def amount(value: float, variance: float) -> Amount:
    """The value with its interval and p-value, from a normal distribution."""
    from scipy.stats import norm

    error = max(0.0, variance) ** 0.5
    reach = float(norm.ppf((1 + CONFIDENCE) / 2)) * error
    p = float(2 * norm.sf(abs(value) / error)) if error > 0 else float(value == 0)
    return Amount(value, value - reach, value + reach, error, p)


@dataclass(frozen=True, slots=True)
class Scale:
    """How much more is kept with more of a feature, on one scale."""

    value: float
    variance: float


def scales(shares: Shares) -> dict[str, Scale]:
    """The four scales: positive where more of the feature is kept more often, and 0 where the shares are equal."""
    import numpy as np

    high, low = (min(max(p, SURE), 1 - SURE) for p in (shares.more, shares.less))
    first, both, second = shares.covariance
    covariance = np.array([[first, both], [both, second]])
    kept, dropped = np.array([1 / high, -1 / low]), np.array([1 / (1 - high), -1 / (1 - low)])
    values = {
        "difference": (high - low, np.array([1.0, -1.0])),
        "kept": (float(np.log(high / low)), kept),
        "dropped": (float(np.log((1 - low) / (1 - high))), dropped),
        "odds": (float(np.log(high / (1 - high)) - np.log(low / (1 - low))), kept + dropped),
    }
    return {name: Scale(value, float(slope @ covariance @ slope)) for name, (value, slope) in values.items()}


def drift(by_generation: Mapping[int, Shares], rows: Mapping[int, int]) -> Contrast | None:
    """The change a generation, by a line through the generations that counts each by its `rows`.

    Its p is the largest of the four scales', and 1 where they disagree about the direction. None unless there are three
    generations.
    """
    if len(by_generation) < 3:
        return None
    found = {number: scales(shares) for number, shares in by_generation.items()}
    slopes = {name: _slope({number: one[name] for number, one in found.items()}, rows) for name in SCALES}
    agree = len({slope.value > 0 for slope in slopes.values()}) == 1
    return Contrast(slopes["difference"], slopes["odds"], max(one.p for one in slopes.values()) if agree else 1.0)


def _slope(values: Mapping[int, Scale], rows: Mapping[int, int]) -> Amount:
    """Counting generations by rows, not by precision: the precision of a ratio depends on the ratio."""
    import numpy as np

    when = np.array(list(values), dtype=float)
    weights = np.array([rows[number] for number in values], dtype=float)
    centred = when - np.average(when, weights=weights)
    counts = weights * centred / float(weights @ centred**2)
    value = sum(count * one.value for count, one in zip(counts.tolist(), values.values(), strict=True))
    return amount(value, sum(count**2 * one.variance for count, one in zip(counts, values.values(), strict=True)))


def different(first: Shares, second: Shares) -> Contrast:
    """The first's effect less the second's, as of independent runs, on the same four scales."""
    ours, theirs = scales(first), scales(second)
    gaps = {
        name: amount(ours[name].value - theirs[name].value, ours[name].variance + theirs[name].variance)
        for name in SCALES
    }
    agree = len({gap.value > 0 for gap in gaps.values()}) == 1
    return Contrast(gaps["difference"], gaps["odds"], max(one.p for one in gaps.values()) if agree else 1.0)
