"""The algebra of Proposition 2: what sampling and selection make each trace count. No model, no files.

Notation: task x, answer y, policy pi, behaviour policies beta_i with n_i samples of the task each, Z_i = P(a sample of
beta_i is valid), Z = the same of pi. N: traces. G: behaviour policies.
"""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Array = npt.NDArray[np.float64]


def log_mixture_weights(behaviour: "Array", samples: "Array", current: "Array") -> "Array":
    """log w, (N,), with w = sum_i n_i beta_i(y | x) / pi(y | x): how often y is expected in the pool, by pi(y | x).

    behaviour: (N, G) log beta_i(y | x). samples: (N, G) n_i of the trace's task. current: (N,) log pi(y | x).

    >>> import numpy as np
    >>> np.exp(log_mixture_weights(np.log([[0.5, 0.2]]), np.array([[1.0, 3.0]]), np.log([0.1]))).round(6).tolist()
    [11.0]
    """
    import numpy as np

    with np.errstate(divide="ignore"):  # a generation that never met the task: log 0
        terms = np.log(samples) + behaviour
    highest = terms.max(axis=1)
    total: Array = highest + np.log(np.exp(terms - highest[:, None]).sum(axis=1)) - current
    return total


def normalised(log_weights: "Array") -> "Array":
    """The weights divided by their sum."""
    import numpy as np

    weights = np.exp(log_weights - log_weights.max())
    out: Array = weights / weights.sum()
    return out


def effective_size(log_weights: "Array") -> float:
    """(sum w)^2 / sum w^2: as many equally weighted traces would estimate as well (Kong, 1992)."""
    return 1 / float((normalised(log_weights) ** 2).sum())


def in_pool(rates: Sequence[float], samples: Sequence[int]) -> float:
    """P(a task has a valid trace) = 1 - prod_i (1 - Z_i)^n_i: how much a task counts where one trace of each is kept.

    REINFORCE counts it Z, so one-per-task multiplies by in_pool / Z. With n samples of one policy that is
    1 + (1 - Z) + ... + (1 - Z)^(n - 1): at most n, at most 1 / Z, and at least (1 - 1/e) of the smaller of the two.

    >>> in_pool([0.25], [2]) / 0.25
    1.75
    """
    return 1 - math.prod((1 - rate) ** count for rate, count in zip(rates, samples, strict=True))


def best_of(behaviour: Sequence[Sequence[float]], samples: Sequence[int], rank: Sequence[int | None]) -> list[float]:
    """P(y is the one trace of its task that curation keeps), for every answer y.

    behaviour[i][y] = beta_i(y | x), with the older policy first. rank[y]: how good y is, from 0; None: invalid. The
    trace kept is the best sampled, and of equally good ones the oldest, then the first of its generation. So a sample
    is kept if no other is better and none before it is as good. With F_i(y) = P(a sample of beta_i is better than y)
    and T_i(y) = P(it is as good, y itself included), the samples from the oldest to the newest add up to

        sum_i sum_s beta_i(y) prod_{before} (1 - F - T) prod_{after} (1 - F).

    >>> best_of([[0.5, 0.25, 0.25]], [2], [1, 0, None])
    [0.5, 0.4375, 0.0]
    >>> best_of([[0.5, 0.5]], [1], [0, 0]), best_of([[1.0, 0.0], [0.0, 1.0]], [1, 1], [0, 0])
    ([0.5, 0.5], [1.0, 0.0])
    """
    drawn = [policy for policy, count in zip(behaviour, samples, strict=True) for _ in range(count)]

    def mass(policy: Sequence[float], place: int, *, ties: bool) -> float:
        """Of what is better, and with `ties` of what is as good."""
        return sum(p for p, other in zip(policy, rank, strict=True) if other is not None and other < place + ties)

    def kept(y: int, place: int) -> float:
        return sum(
            policy[y]
            * math.prod(1 - mass(before, place, ties=True) for before in drawn[:number])
            * math.prod(1 - mass(after, place, ties=False) for after in drawn[number + 1 :])
            for number, policy in enumerate(drawn)
        )

    return [0.0 if place is None else kept(y, place) for y, place in enumerate(rank)]
