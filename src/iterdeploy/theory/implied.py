"""The reward that a training phase followed, as its policies tell: log pi(after) - log pi(before) of given answers.

For KL-regularised reinforcement learning this difference is the reward itself, up to a factor and a constant for each
task; for any other training it says which answers became likelier, and so what the phase did reward. Pure functions.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING

from iterdeploy.metrics.diversity import ratio
from iterdeploy.metrics.records import Nats
from iterdeploy.theory.records import Implied

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Scored:
    """An answer of the policy before, with the difference of log-probabilities of each of its tokens."""

    task_id: str
    group: int
    """Standard errors come from leaving out one group of tasks at a time."""
    valid: bool
    reasoning: int
    """Tokens before and including the end of the reasoning."""
    gain: "Array"
    """log pi(after) - log pi(before), (tokens,)."""


def implied(answers: Sequence[Scored], own: Sequence[float] | None) -> Implied:
    """`own`: of the run's phase, the sum over each answer's tokens; None for that phase itself."""
    totals = [float(one.gain.sum()) for one in answers]
    means = [float(one.gain.mean()) if len(one.gain) else 0.0 for one in answers]
    auc, error = _with_error(answers, lambda kept: _auc(answers, totals, kept))
    auc_per_token, error_per_token = _with_error(answers, lambda kept: _auc(answers, means, kept))
    reasoning = [float(value) for one in answers for value in one.gain[: one.reasoning]]
    return Implied(
        kl=_kl(answers),
        auc=auc,
        auc_error=error,
        auc_per_token=auc_per_token,
        auc_per_token_error=error_per_token,
        correlation=None if own is None else correlation(totals, own),
        reasoning=fmean(reasoning) if reasoning else None,
        rest=fmean(float(value) for one in answers for value in one.gain[one.reasoning :]),
    )


def _kl(answers: Sequence[Scored]) -> Nats:
    """KL(before || after), estimated by the mean of log before - log after over answers of the policy before."""
    of_task: dict[str, list[Scored]] = {}
    for one in answers:
        of_task.setdefault(one.task_id, []).append(one)
    lost = [(-float(sum(one.gain.sum() for one in some)), some) for some in of_task.values()]
    return Nats(
        per_token=ratio([(nats, sum(len(one.gain) for one in some)) for nats, some in lost]),
        per_answer=ratio([(nats, len(some)) for nats, some in lost]),
    )


def auc(valid: Sequence[float], invalid: Sequence[float]) -> float | None:
    """P(the number of a valid answer is larger than that of an invalid one), an equal one counting half.

    >>> auc([1.0, 3.0], [2.0, 0.0, 1.0])
    0.75
    """
    import numpy as np

    if not valid or not invalid:
        return None
    ordered = np.sort(np.array(invalid))
    below = np.searchsorted(ordered, valid, side="left") + np.searchsorted(ordered, valid, side="right")
    return float(below.mean() / 2 / len(ordered))


def correlation(one: Sequence[float], other: Sequence[float]) -> float | None:
    """None where either does not vary."""
    import numpy as np

    if np.std(one) == 0 or np.std(other) == 0:
        return None
    return float(np.corrcoef(one, other)[0, 1])


def _auc(answers: Sequence[Scored], values: Sequence[float], kept: Callable[[Scored], bool]) -> float | None:
    split: dict[bool, list[float]] = {True: [], False: []}
    for one, value in zip(answers, values, strict=True):
        if kept(one):
            split[one.valid].append(value)
    return auc(split[True], split[False])


def _with_error(
    answers: Sequence[Scored], figure: Callable[[Callable[[Scored], bool]], float | None]
) -> tuple[float | None, float | None]:
    """The figure over all answers, and its jackknife error over groups of tasks; None where there is none."""
    groups = sorted({one.group for one in answers})
    left_out = [figure(lambda one, group=group: one.group != group) for group in groups]  # type: ignore[misc]
    known = [value for value in left_out if value is not None]
    if len(known) < len(groups) or len(groups) < 2:
        return figure(lambda one: True), None
    mean = fmean(known)
    variance = (len(known) - 1) / len(known) * sum((value - mean) ** 2 for value in known)
    return figure(lambda one: True), float(variance**0.5)
