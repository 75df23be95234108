"""Curators of whom a few have a taste, and the others none: who is named, and what the pooled audit sees of it."""

import numpy as np

from calibration.pools import CHANCE, Answers, Rates, judged, logistic
from iterdeploy.audit.curators import Judgement, curators

CROWDS = (100, 1000)
MINORITIES = (0.0, 0.02, 0.05, 0.1)


def chapter(answers: Answers, number: int, rates: Rates) -> None:
    for people in CROWDS:
        for minority in MINORITIES:
            for strength in (3.0, 10.0) if minority else (0.0,):
                _crowd(answers, people, minority, strength, number, rates)


def _crowd(answers: Answers, people: int, minority: float, strength: float, number: int, rates: Rates) -> None:
    seen = answers.seen
    dice = np.random.default_rng((19, number, people, int(100 * minority), int(strength)))
    who = dice.integers(0, people, len(seen.ids))
    biased = who < round(minority * people)
    chance = logistic(np.where(biased, strength * (answers.feature("detour") - 0.5), 0.0))
    kept = answers.kept(chance, 20, number, people, int(100 * minority), int(strength))
    rows = np.flatnonzero(seen.valid & seen.deployed & (seen.generation < answers.generations))
    found = curators(seen, [Judgement(f"{who[row]:04}", seen.ids[row], bool(kept[-1][row])) for row in rows.tolist()])
    names = {int(one.name) for one in found.curators if any(taste.named for taste in one.tastes.values())}
    wrong = {name for name in names if name >= round(minority * people)}
    what = (
        f"{people} curators, {minority:.0%} with a taste of {strength:g}"
        if minority
        else f"{people} curators, no taste"
    )
    if not minority:
        rates.add(f"{what}: somebody is named", bool(names), "at most 5%")
        rates.add(f"{what}: they are said to differ", min(found.differ.values(), default=1.0) < CHANCE, "at most 5%")
        return
    for name in range(round(minority * people)):
        rates.add(f"{what}: one of them is named", name in names, "")
    for name in names:
        rates.add(f"{what}: a name is false", name in wrong, "at most 5%")
    rates.add(f"{what}: they are said to differ in detours", found.differ.get("detour", 1.0) < CHANCE, "")
    pooled = judged(answers, kept, by_generation=False).features["detour"]
    rates.add(f"{what}: the audit of all together finds it", (pooled.coefficient_p or 1.0) < CHANCE, "")
