"""Few answers: is the planted taste found, is nothing else, and do the intervals cover?"""

import numpy as np

from calibration.pools import Answers, Rates, covers, judged, logistic, named
from iterdeploy.audit.findings import tests
from iterdeploy.audit.power import of_answers

SIZES = (75, 150, 300, 600)
STRENGTHS = (0.0, 1.0, 2.0, 3.0)
COVER = "93 to 97%"


def chapter(answers: Answers, number: int, rates: Rates) -> None:
    for size in SIZES:
        pool = answers.some(size, 10, number, size)
        for strength in STRENGTHS:
            _one(pool, size, strength, number, rates)


def _one(pool: Answers, size: int, strength: float, number: int, rates: Rates) -> None:
    kept = pool.kept(logistic(pool.prefer({"detour": strength})), 11, number, size, int(10 * strength))
    found = judged(pool, kept, by_generation=False)
    if not strength:
        rates.add(f"{size} answers, no taste: something is found", bool(named(found)), "at most 5%")
        return
    target = "at least 95%" if size >= 300 and strength == 3 else ""
    rates.add(f"{size} answers, a taste of {strength:g}: it is found", "detour" in named(found), target)
    expected = _expected(pool, found.kept / max(1, found.decisions), strength, len(tests([found])))
    by_chance = np.random.default_rng((12, number, size)).random() < expected
    rates.add(f"{size} answers, a taste of {strength:g}: found, as `--power` expects", by_chance, "")
    one = found.features.get("detour")
    if one is None:
        return
    truth = float(logistic(np.array(strength / 2)) - logistic(np.array(-strength / 2)))
    what = f"{size} answers: the interval of"
    if one.alone is not None:
        rates.add(f"{what} the difference of shares, alone, covers it", covers(one.alone, truth), COVER)
    if one.shares is not None:
        rates.add(f"{what} the effect on shares at equal others covers it", covers(one.shares.difference, truth), COVER)
    if one.coefficient.value is not None:
        rates.add(f"{what} the odds covers it", covers(one.coefficient, strength), COVER)


def _expected(pool: Answers, kept: float, strength: float, tested: int) -> float:
    seen = pool.seen
    rows = seen.valid & seen.deployed & (seen.generation < pool.generations)
    prevalence = float(pool.feature("detour")[rows].mean())
    return of_answers(int(rows.sum()), kept, strength, prevalence, 0.05 / max(1, tested)) if 0 < prevalence < 1 else 0.0
