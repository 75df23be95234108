"""Several tests at once."""

from collections.abc import Sequence


def holm(values: Sequence[float]) -> list[float]:
    """The p-values corrected for their number (Holm, 1979): one false claim among all is as rare as one test's is.

    >>> holm([0.5, 0.01, 0.02])
    [0.5, 0.03, 0.04]
    """
    out = [0.0] * len(values)
    so_far = 0.0
    for rank, place in enumerate(sorted(range(len(values)), key=values.__getitem__)):
        so_far = max(so_far, min(1.0, (len(values) - rank) * values[place]))
        out[place] = so_far
    return out
