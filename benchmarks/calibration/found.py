"""Pools of the whole run: intervals, what is found and what is not, and what a taste that nobody measures does."""

from typing import TYPE_CHECKING

import numpy as np

from calibration.pools import CHANCE, Answers, Rates, covers, judged, logistic, named
from iterdeploy.audit import audit_observed

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

HIDDEN = (
    ("detour", 2.0), ("plan_length", -0.1), ("reasoning_tokens", 0.1), ("detour", -1.0), ("plan_length", 0.05),
    ("detour", 0.5), ("reasoning_tokens", -0.1), ("plan_length", 0.1), ("detour", -2.0), ("plan_length", -0.05),
)  # fmt: skip
"""Pool s has the taste s modulo their number."""
SEVERAL = {"detour": 2.0, "reasoning_tokens": 0.1}
COVER = "93 to 97%"
FALSE = "at most 5%"


def chapter(answers: Answers, number: int, rates: Rates) -> None:
    _known(answers, number, rates)
    _none(answers, number, rates)
    _several(answers, number, rates)
    for strength in (3.0, 6.0):
        _unmeasured(answers, number, rates, strength)


def _known(answers: Answers, number: int, rates: Rates) -> None:
    feature, strength = HIDDEN[number % len(HIDDEN)]
    log_odds = answers.prefer({feature: strength})
    found = audit_observed(answers.seen, answers.kept(logistic(log_odds), 0, number), ["valid"])
    for name, one in found.reward("published").features.items():
        mine, truth = name == feature, strength if name == feature else 0.0
        which = "its" if mine else "another feature's"
        if one.coefficient.value is not None:
            rates.add(
                f"one taste: the interval of {which} odds covers the truth", covers(one.coefficient, truth), COVER
            )
        if one.shares is not None:
            effect = _effect(answers, log_odds, name, strength, one.spread, one.marker) if mine else 0.0
            row = f"one taste: the interval of {which} effect on shares covers it"
            rates.add(row, covers(one.shares.difference, effect), COVER)
        for of in one.by_generation.values():
            if mine and of.coefficient.value is not None:
                rates.add(
                    "one taste: the interval of its odds in one generation covers it",
                    covers(of.coefficient, truth),
                    COVER,
                )
    within = found.reward("picked").features[feature].coefficient
    if within.value is not None:
        rates.add(
            "one taste: the interval of its odds within tasks (the check) covers it", covers(within, strength), COVER
        )
    others = {name for one in found.findings if one.kind == "rewarded" for name in one.features} - {feature}
    rates.add("one taste: another feature is called rewarded at equal others", bool(others), FALSE)
    still = audit_observed(*_shuffled(answers, log_odds, number), ["valid"])
    rates.add("one taste, but answers that do not change: it warns", bool(still.warnings), FALSE)


def _effect(answers: Answers, log_odds: "Array", feature: str, strength: float, spread: float, marker: bool) -> float:
    """The true difference of shares, among all answers that were decided on."""
    seen = answers.seen
    rows = seen.valid & seen.deployed & (seen.generation < answers.generations)
    values, base = answers.feature(feature)[rows], log_odds[rows]
    more, less = (1 - values, -values) if marker else (spread / 2, -spread / 2)
    return float((logistic(base + strength * more) - logistic(base + strength * less)).mean())


def _shuffled(answers: Answers, log_odds: "Array", number: int) -> "tuple[object, NDArray[np.bool_]]":
    """The answers to each task trade their generations at random, so that no generation differs from another."""
    from dataclasses import replace

    seen = answers.seen
    order = np.lexsort((np.random.default_rng((3, number)).random(len(seen.task)), seen.task))
    generation = np.empty_like(seen.generation)
    generation[order] = seen.generation[np.argsort(seen.task, kind="stable")]
    other = Answers(replace(seen, generation=generation))
    return other.seen, other.kept(logistic(log_odds), 2, number)


def _none(answers: Answers, number: int, rates: Rates) -> None:
    found = audit_observed(answers.seen, answers.kept(np.full(len(answers.seen.ids), 0.4), 1, number), ["valid"])
    rates.add("no taste: it warns", bool(found.warnings), FALSE)
    rates.add("no taste: it finds something", any(one.kind != "warning" for one in found.findings), FALSE)


def _several(answers: Answers, number: int, rates: Rates) -> None:
    found = judged(answers, answers.kept(logistic(answers.prefer(SEVERAL)), 4, number), by_generation=False)
    for name, strength in SEVERAL.items():
        one = found.features[name]
        if one.coefficient.value is not None:
            rates.add(
                f"two tastes: the interval of the odds of {name} covers it", covers(one.coefficient, strength), COVER
            )
        rates.add(f"two tastes: {name} is found", name in named(found), "at least 95%")


def _unmeasured(answers: Answers, number: int, rates: Rates, strength: float) -> None:
    """Users also like a marker that half of the answers have, that no feature measures, and that goes with nothing."""
    marker = np.random.default_rng((5, number)).random(len(answers.seen.ids)) < 0.5
    log_odds = answers.prefer({"detour": 3.0}) + strength * (marker - 0.5)
    one = judged(answers, answers.kept(logistic(log_odds), 6, number), by_generation=False).features["detour"]
    truth = np.mean(
        [logistic(1.5 + strength * s) - logistic(-1.5 + strength * s) for s in (np.array(-0.5), np.array(0.5))]
    )
    assert one.shares is not None and one.coefficient_p is not None
    rates.add(f"a taste of {strength:g} unmeasured: the interval of the effect on shares covers it",
              covers(one.shares.difference, float(truth)), COVER)  # fmt: skip
    rates.add(
        f"a taste of {strength:g} unmeasured: the interval of the odds covers 3", covers(one.coefficient, 3.0), "none"
    )
    rates.add(
        f"a taste of {strength:g} unmeasured: the measured one is found", one.coefficient_p < CHANCE, "at least 95%"
    )
