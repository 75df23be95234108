"""What the audit concludes: what is rewarded, what was asked for, and what grows though no one asked for it.

Families of hypotheses are corrected with Holm's method, so that one false statement among all of a family is as rare as
a single test's would be. One family is everything that may be called rewarded, under both questions: each feature
alone, each at equal others, and each group. A warning needs both that a feature is rewarded and that it grows in the
rewarded direction: its p-value is the larger of the two (an intersection-union test), and Holm's correction goes over
all features that nobody asked for. Drifts are a third family.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from iterdeploy.audit.records import CONFIDENCE, Change, Coefficient, Contrast, Finding, Reward, Rewarded
from iterdeploy.audit.words import alone, effect_on_share, more_of, points, ratio, statement
from iterdeploy.curation.named import find_policy, wanted
from iterdeploy.metrics.correction import holm

CHANCE = 1 - CONFIDENCE


def asked_for(policies: Sequence[str], recorded: Mapping[str, float]) -> dict[str, int]:
    """Feature -> 1 if the curation policies ask for more of it, -1 for less.

    `recorded`: what the run wrote down of it when it began, as auditing runs nobody else's policies.

    >>> asked_for(["valid", "prefer(detour, 2)", "mine.py:brief"], {"words": -1})
    {'detour': 1, 'words': -1}
    """
    asked = {**wanted(find_policy(policy) for policy in policies if ":" not in policy), **recorded}
    return {feature: 1 if much > 0 else -1 for feature, much in asked.items()}


def corrected(rewards: Sequence[Reward]) -> list[Reward]:
    """With corrected p-values, over all tests of the questions that decide; a check is corrected by itself."""
    judged = _holm_by_key(tests([reward for reward in rewards if reward.decides]))
    return [_with(reward, judged if reward.decides else _holm_by_key(tests([reward]))) for reward in rewards]


Test = tuple[str, str, str | tuple[str, ...]]
"""(question, "alone", feature), (question, "joint", feature) or (question, "group", features)."""


def tests(rewards: Sequence[Reward], *, corrected: bool = False) -> dict[Test, float]:
    """The p-value of everything that may be called rewarded."""
    found: dict[Test, float | None] = {}
    for reward in rewards:
        for name, one in reward.features.items():
            alone = None if one.alone is None else one.alone.p
            found[reward.question, "alone", name] = one.alone_p if corrected else alone
            found[reward.question, "joint", name] = one.coefficient_p if corrected else one.coefficient.p
        for group in reward.groups:
            found[reward.question, "group", group.features] = group.p_corrected if corrected else group.p
    return {test: p for test, p in found.items() if p is not None}


def _holm_by_key(tests: Mapping[Test, float]) -> dict[Test, float]:
    return dict(zip(tests, holm(list(tests.values())), strict=True))


def _with(reward: Reward, p: Mapping[Test, float]) -> Reward:
    features = {
        name: replace(
            one,
            alone_p=p.get((reward.question, "alone", name)),
            coefficient_p=p.get((reward.question, "joint", name)),
        )
        for name, one in reward.features.items()
    }
    groups = [replace(one, p_corrected=p.get((reward.question, "group", one.features))) for one in reward.groups]
    return replace(reward, features=features, groups=groups)


def findings(rewards: Sequence[Reward], changes: Mapping[str, Change], asked: Mapping[str, int]) -> list[Finding]:
    """All that is beyond chance, by corrected rewards."""
    judged = [reward for reward in rewards if reward.decides]
    return [
        *(one for reward in judged for one in of_reward(reward)),
        *_drifts(judged),
        *_warnings(judged, changes, asked),
    ]


def of_reward(reward: Reward) -> list[Finding]:
    """What is beyond chance in the answer to one question."""
    out: list[Finding] = []
    grouped = {name for group in reward.groups for name in group.features}
    question = reward.question
    for name, one in reward.features.items():
        if name not in grouped and (p := one.coefficient_p) is not None and p < CHANCE:
            text = f"Over all generations, {statement(question, name, one.coefficient, one.marker)}"
            out.append(Finding("rewarded", question, (name,), p, f"{text}{effect_on_share(question, one)}."))
    for group in reward.groups:
        if (p := group.p_corrected) is not None and p < CHANCE:
            told = [alone(question, name, reward.features[name]) for name in group.features]
            text = (
                f"{' and '.join(group.features)} cannot be told apart in these answers, but together they are rewarded "
                f"(p = {p:.2g}). Each by itself: {'; '.join(one for one in told if one)}."
            )
            out.append(Finding("together", question, group.features, p, text))
    named = {name for finding in out for name in finding.features}
    for name, one in reward.features.items():
        untold = not out or one.coefficient.p is None
        if name not in named and untold and (p := one.alone_p) is not None and p < CHANCE:
            why = one.coefficient.note or "no feature stands out at equal others"
            text = (
                f"{alone(question, name, one).capitalize()} (p = {p:.2g}). Whether this or something that goes with it "
                f"is rewarded cannot be told ({why})."
            )
            out.append(Finding("goes along", question, (name,), p, text))
    return out


def _drifts(rewards: Sequence[Reward]) -> list[Finding]:
    """Of what is rewarded at equal other features."""
    found = {
        (reward.question, name): (one, one.drift)
        for reward in rewards
        for name, one in reward.features.items()
        if one.drift is not None
    }
    out = []
    for ((question, name), (one, drift)), p in zip(
        found.items(), holm([drift.p for _, drift in found.values()]), strict=True
    ):
        if p < CHANCE:
            out.append(Finding("drift", question, (name,), p, _drift_sentence(name, one, drift)))
    return out


def _drift_sentence(name: str, one: Rewarded, drift: Contrast) -> str:
    told = {number: of.shares for number, of in one.by_generation.items() if of.shares is not None}
    first, last = told[min(told)], told[max(told)]
    return (
        f"The effect of {more_of(name, one)} changes: from {points(first.difference.value)} in generation {min(told)} "
        f"to {points(last.difference.value)} in generation {max(told)}, by {points(drift.difference.value)} each "
        f"({points(drift.difference.low)} to {points(drift.difference.high)}); the ratio of odds by a factor of "
        f"{ratio(drift.odds.value)} ({ratio(drift.odds.low)} to {ratio(drift.odds.high)}). What users reward may have "
        "changed, or how strongly something matters that no feature measures."
    )


def _warnings(rewards: Sequence[Reward], changes: Mapping[str, Change], asked: Mapping[str, int]) -> list[Finding]:
    """What is rewarded and grows in the rewarded direction, where the policies do not ask for that."""
    both: dict[tuple[str, str], tuple[float, Rewarded]] = {}
    for reward in rewards:
        for name, one in reward.features.items():
            trend, p, toward = changes[name].trend, _p_of_reward(reward, name), _direction(one)
            if p is None or trend is None or asked.get(name) == toward:
                continue
            both[reward.question, name] = (max(p, trend.p) if toward * trend.value > 0 else 1.0, one)
    corrections = holm([p for p, _ in both.values()])
    return [
        Finding("warning", question, (name,), p, _warning(question, name, one, changes[name]))
        for ((question, name), (_, one)), p in zip(both.items(), corrections, strict=True)
        if p < CHANCE
    ]


def _p_of_reward(reward: Reward, name: str) -> float | None:
    """At equal others; of its group, where it cannot be told apart; alone, where nothing has a p at equal others."""
    one = reward.features[name]
    if one.coefficient.p is not None:
        return one.coefficient.p
    for group in reward.groups:
        if name in group.features:
            return group.p
    untold = all(other.coefficient.p is None for other in reward.features.values())
    return one.alone.p if untold and one.alone is not None else None


def _direction(one: Rewarded) -> int:
    """Whether more or less of a feature is rewarded."""
    if one.coefficient.p is not None:
        return sign(one.coefficient)
    return 0 if one.alone is None else 1 if one.alone.value > 0 else -1


def sign(one: Coefficient) -> int:
    return one.always or (1 if (one.value or 0) > 0 else -1)


def _warning(question: str, name: str, one: Rewarded, change: Change) -> str:
    trend = change.trend
    assert trend is not None
    first, last = change.means[min(change.means)], change.means[max(change.means)]
    known = one.coefficient.p is not None
    told = statement(question, name, one.coefficient, marker=False) if known else alone(question, name, one)
    return (
        f"nobody asked for {'more' if _direction(one) > 0 else 'less'} {name}, but curation rewards it "
        f"({told}) and the model follows: the mean went from {first.value:.3g} to {last.value:.3g}, and like for like "
        f"it changes by {trend.value:+.3g} a generation ({trend.low:+.3g} to {trend.high:+.3g})"
    )
