"""Phrases: answers get a text of words drawn at random, and users like two words in a row that no feature measures."""

from typing import TYPE_CHECKING

import numpy as np

from calibration.pools import Answers, Rates, logistic
from iterdeploy.audit.decisions import decisions
from iterdeploy.audit.discovery import discover
from iterdeploy.audit.questions import published

if TYPE_CHECKING:
    from iterdeploy.audit.records import Discovery

WORDS = tuple("now then take put lift set clear block hand table left right on under over free".split())  # noqa: SIM905
LENGTH = 20


def chapter(answers: Answers, number: int, rates: Rates) -> None:
    for size in (1000, 4000):
        pool = answers.some(size, 16, number, size)
        dice = np.random.default_rng((17, number, size))
        texts = [" ".join(row) for row in np.array(WORDS)[dice.integers(0, len(WORDS), (len(pool.seen.ids), LENGTH))]]
        for strength in (0.0, 1.0, 2.0):
            liked = np.array([" take put " in f" {text} " for text in texts], dtype=float)
            found = _discovered(pool, texts, strength * (liked - 0.5), 18, number, size, int(strength))
            if not strength:
                rates.add(f"{size} answers, no taste: a phrase is reported", bool(found.phrases), "at most 5%")
                continue
            what = f"{size} answers, 7% with the phrase, a taste of {strength:g}"
            rates.add(f"{what}: it is reported", any("take put" in one.text for one in found.phrases), "")
            for one in found.phrases:
                rates.add(f"{what}: a reported phrase has none of its words",
                          not {"take", "put"} & set(one.text.split()), "at most 5%")  # fmt: skip


def _discovered(pool: Answers, texts: list[str], log_odds: "np.ndarray", *seed: int) -> "Discovery":  # type: ignore[type-arg]
    question = published(pool.seen, decisions(pool.seen, pool.kept(logistic(log_odds), *seed), None))
    return discover(pool.seen, question, lambda: zip(pool.seen.ids, texts, strict=True))
