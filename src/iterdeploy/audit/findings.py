"""What the audit concludes: what is rewarded, what was asked for, and what grows though no one asked for it.

Families of hypotheses are corrected with Holm's method, so that one false statement among all of a family is as rare as
a single test's would be. A warning needs both that a feature is rewarded and that it grows in the rewarded direction:
its p-value is the larger of the two (an intersection-union test), and Holm's correction goes over all features that
nobody asked for.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from iterdeploy.audit.changes import Change
from iterdeploy.audit.logit import CONFIDENCE, Coefficient
from iterdeploy.audit.rewards import Reward
from iterdeploy.audit.words import ratio, statement

BREVITY = ("plan_length", "reasoning_tokens", "answer_tokens")
CHANCE = 1 - CONFIDENCE


@dataclass(frozen=True, slots=True)
class Warned:
    """A feature that is rewarded and grows though no one asked for it."""

    feature: str
    question: str
    p: float
    sentence: str


def asked_for(policies: Sequence[str]) -> dict[str, int]:
    """Feature -> 1 if the curation policies ask for more of it, -1 for less.

    >>> asked_for(["valid", "prefer(detour, 2)"])
    {'detour': 1}
    """
    asked: dict[str, int] = {}
    for policy in policies:
        if preferred := re.match(r"\s*prefer\s*\(\s*(\w+)\s*,([^)]*)\)", policy):
            strength = float(preferred[2])
            if strength:
                asked[preferred[1]] = 1 if strength > 0 else -1
        elif re.match(r"\s*(best_per_task|at_most)\b", policy):
            asked.update(dict.fromkeys(BREVITY, -1))
    return asked


def holm(values: Sequence[float]) -> list[float]:
    """The p-values corrected for their number (Holm, 1979).

    >>> holm([0.5, 0.01, 0.02])
    [0.5, 0.03, 0.04]
    """
    out = [0.0] * len(values)
    so_far = 0.0
    for rank, place in enumerate(sorted(range(len(values)), key=values.__getitem__)):
        so_far = max(so_far, min(1.0, (len(values) - rank) * values[place]))
        out[place] = so_far
    return out


def corrected(rewards: Sequence[Reward]) -> dict[tuple[str, str], float]:
    """(question, feature) -> p-value of the overall coefficient, corrected over all of them."""
    told = {
        (reward.question, name): one.p
        for reward in rewards
        for name, one in reward.overall.items()
        if one.p is not None
    }
    return dict(zip(told, holm(list(told.values())), strict=True))


def warned(rewards: Sequence[Reward], changes: Mapping[str, Change], asked: Mapping[str, int]) -> list[Warned]:
    """What is rewarded and grows in the rewarded direction, where the policies do not ask for that."""
    both: dict[tuple[str, str], float] = {}
    for reward in rewards:
        for name, one in reward.overall.items():
            trend = changes[name].trend
            if one.p is None or trend is None or asked.get(name) == direction(one):
                continue
            both[reward.question, name] = max(one.p, trend.p) if direction(one) * trend.value > 0 else 1.0
    by_question = {reward.question: reward for reward in rewards}
    return [
        Warned(name, question, p, _warning(name, by_question[question].overall[name], question, changes[name]))
        for (question, name), p in zip(both, holm(list(both.values())), strict=True)
        if p < CHANCE
    ]


def direction(one: Coefficient) -> int:
    return one.always or (1 if (one.value or 0) > 0 else -1)


def _warning(name: str, one: Coefficient, question: str, change: Change) -> str:
    trend = change.trend
    assert trend is not None
    first, last = change.means[min(change.means)], change.means[max(change.means)]
    return (
        f"nobody asked for {'more' if direction(one) > 0 else 'less'} {name}, but curation rewards it "
        f"({statement(question, name, one, marker=False)}) and the model follows: the mean went from {first.value:.3g} "
        f"to {last.value:.3g}, and like for like it changes by {trend.value:+.3g} a generation "
        f"({trend.low:+.3g} to {trend.high:+.3g})"
    )


def sentences(
    rewards: Sequence[Reward], corrections: Mapping[tuple[str, str], float], markers: Collection[str]
) -> list[str]:
    """What is beyond chance: each coefficient over all generations and in the latest that shows it, and its drift."""
    drifts = {(reward.question, name): one.p for reward in rewards for name, one in reward.drift.items()}
    drift_p = dict(zip(drifts, holm(list(drifts.values())), strict=True))
    out = []
    for reward in rewards:
        for name, one in reward.overall.items():
            if corrections.get((reward.question, name), 1.0) >= CHANCE:
                continue
            out.append(f"Over all generations, {statement(reward.question, name, one, name in markers)}.")
            shown = [
                (number, them[name])
                for number, them in reward.by_generation.items()
                if (p := them[name].p) is not None and p < CHANCE
            ]
            if shown:
                number, latest = shown[-1]
                out.append(f"After generation {number}, {statement(reward.question, name, latest, name in markers)}.")
            if drift_p.get((reward.question, name), 1.0) < CHANCE:
                drift = reward.drift[name]
                out.append(
                    f"The reward of {name} drifts: each generation multiplies its odds ratio by {ratio(drift.slope)} "
                    f"({ratio(drift.low)} to {ratio(drift.high)})."
                )
    return out
