"""An audit after each of five generations: false alarms over all of them, and when a true taste raises one."""

import numpy as np

from calibration.pools import CHANCE, Answers, Rates, logistic
from iterdeploy.audit.looks import looks

FALSE = "at most 5%"


def chapter(answers: Answers, number: int, rates: Rates) -> None:
    found = looks(answers.seen, answers.kept(np.full(len(answers.seen.ids), 0.4), 13, number), {})
    rates.add("no taste, five looks: an alarm", any(look.alarm for look in found), FALSE)
    rates.add("no taste, five looks: one would be called by p < 5%", any(look.p < CHANCE for look in found), "")
    rates.add("no taste: the last look alone, by p < 5%", found[-1].p < CHANCE, FALSE)
    for size, strength in ((300, 1.0), (300, 3.0), (1500, 1.0)):
        pool = answers.some(size, 14, number, size)
        kept = pool.kept(logistic(pool.prefer({"detour": strength})), 15, number, size)
        alarms = [look.alarm for look in looks(pool.seen, kept, {})]
        what = f"{size} answers over five generations, a taste of {strength:g}"
        rates.add(f"{what}: an alarm by the last look", any(alarms), "at least 95%" if strength == 3 else "")
        rates.add(f"{what}: an alarm by the third look", any(alarms[:3]), "")
