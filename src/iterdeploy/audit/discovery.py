"""Preferences that nobody thought of: phrases whose answers are kept more or less often than like answers without.

A phrase is one to four words in a row; a word with a digit in it, a name or a number, is `#`. Thousands of phrases are
tried, so candidates come from the answers to one half of the tasks, and are tested on those to the other half alone:
there are few of them, and what made them candidates is not part of their test. Of the phrases reported, at most 5% are
expected to be false (Benjamini and Hochberg, 1995). A phrase is left out that nearly always comes with a better
candidate, holds one or is part of one. The measured feature that goes most with a phrase is named: what is found may be
an old acquaintance.

R: answers. V: phrases.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from iterdeploy.audit.association import Decided, associations, decided
from iterdeploy.audit.observe import Observations
from iterdeploy.audit.questions import Question
from iterdeploy.audit.records import CONFIDENCE, Discovery, Phrase
from iterdeploy.types import content_hash

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

LONGEST = 4
WORDS = 4_000
"""Of an answer, that are looked at."""
RAREST, FEWEST = 0.02, 10
"""Answers with a phrase, and answers without: as a share and a number, at least."""
VOCABULARY = 5_000
"""Phrases that are tried, at most: those nearest to half of the answers."""
CANDIDATES = 40
PROMISING = 2.0
"""Standard deviations by which a candidate differs in its half, at least."""
SAME = 0.9
"""Correlation of two phrases from which on the weaker candidate is left out."""

Texts = Callable[[], Iterable[tuple[str, str]]]
"""(trace id, text) of every answer; called twice."""


def phrases(text: str) -> set[str]:
    """
    >>> sorted(phrases("stack b3 on"))
    ['#', '# on', 'on', 'stack', 'stack #', 'stack # on']
    """
    words = [word if word.isalpha() else "#" for word in re.findall(r"\w+", text.lower())[:WORDS]]
    return {
        " ".join(words[start : start + length])
        for length in range(1, LONGEST + 1)
        for start in range(len(words) - length + 1)
    }


def discover(seen: Observations, question: Question, texts: Texts) -> Discovery:
    import numpy as np

    rows = {seen.ids[row]: place for place, row in enumerate(question.rows.tolist())}
    half = np.array([int(content_hash("half", int(task)), 16) % 2 for task in seen.task[question.rows]], dtype=bool)
    vocabulary = _vocabulary(text for name, text in texts() if name in rows and not half[rows[name]])
    matrix = _occurrences(vocabulary, rows, texts())  # (R, V), sparse
    first, second = (_part(question.strata, rows_of) for rows_of in (~half, half))
    names = list(vocabulary)
    chosen = _candidates(matrix[np.flatnonzero(~half)][first[1]], first[0], names)
    columns = matrix[:, chosen].toarray().astype(float)
    tested = associations(columns[half][second[1]], second[0])
    found = [
        Phrase(
            names[place], float(columns[:, number].mean()), one, 1.0, *_acquaintance(columns[:, number], seen, question)
        )
        for number, (place, one) in enumerate(zip(chosen, tested, strict=True))
        if one is not None
    ]
    kept = [
        Phrase(one.text, one.share, one.difference, q, one.like, one.correlation)
        for one, q in zip(found, benjamini_hochberg([one.difference.p for one in found]), strict=True)
        if q < 1 - CONFIDENCE
    ]
    return Discovery(
        question.name, len(vocabulary), len(found), int(half.sum()), sorted(kept, key=lambda one: (one.q, one.text))
    )


def benjamini_hochberg(values: list[float]) -> list[float]:
    """q-values: below q, at most a share q of what is called is expected to be false.

    >>> benjamini_hochberg([0.01, 0.5, 0.02])
    [0.03, 0.5, 0.03]
    """
    order = sorted(range(len(values)), key=values.__getitem__, reverse=True)
    out, least = [1.0] * len(values), 1.0
    for rank, place in zip(range(len(values), 0, -1), order, strict=True):
        least = min(least, values[place] * len(values) / rank)
        out[place] = least
    return out


def _vocabulary(texts: Iterator[str]) -> dict[str, int]:
    """Phrase -> its number."""
    counts: Counter[str] = Counter()
    answers = 0
    for text in texts:
        counts.update(phrases(text))
        answers += 1
    least = max(FEWEST, RAREST * answers)
    usable = [
        (abs(count / answers - 0.5), phrase) for phrase, count in counts.items() if least <= count <= answers - least
    ]
    return {phrase: number for number, (_, phrase) in enumerate(sorted(usable)[:VOCABULARY])}


def _occurrences(vocabulary: Mapping[str, int], rows: Mapping[str, int], texts: Iterable[tuple[str, str]]) -> Any:
    import numpy as np
    from scipy.sparse import csr_array

    where: list[tuple[int, int]] = []
    for name, text in texts:
        if (row := rows.get(name)) is not None:
            where += [(row, number) for phrase in phrases(text) if (number := vocabulary.get(phrase)) is not None]
    place = np.array(where, dtype=np.int64).reshape(-1, 2).T
    return csr_array((np.ones(len(where)), (place[0], place[1])), shape=(len(rows), len(vocabulary)))


def _part(of: Decided, rows: "NDArray[np.bool_]") -> "tuple[Decided, NDArray[np.bool_]]":
    return decided(of.kept[rows], of.strata[rows], of.clusters[rows])


def _candidates(matrix: Any, of: Decided, names: Sequence[str]) -> list[int]:
    """The phrases that differ most in this half, none of them nearly the same as a better one, or with it in it."""
    import numpy as np
    from scipy.sparse import csr_array

    if not len(of.kept):
        return []
    strata = csr_array((np.ones(len(of.kept)), (of.strata, np.arange(len(of.kept)))))  # (S, R)
    answers, keeping = np.bincount(of.strata), np.bincount(of.strata, weights=of.kept)
    having = (strata @ matrix).toarray()  # (S, V)
    gap = matrix.T @ of.kept - (keeping / answers) @ having
    spread = keeping * (answers - keeping) / (answers * np.maximum(1, answers - 1))
    variance = spread @ (having * (answers[:, None] - having) / answers[:, None])
    z = abs(gap) / np.sqrt(np.maximum(variance, 1e-12))
    shares = matrix.mean(axis=0)
    chosen: list[int] = []
    for place in np.argsort(-z, kind="stable").tolist():
        if len(chosen) == CANDIDATES or z[place] < PROMISING:
            break
        if variance[place] <= 1e-9 or any(_within(names[place], names[better]) for better in chosen):
            continue
        together = (matrix[:, [place]].T @ matrix[:, chosen]).toarray()[0] / len(of.kept) if chosen else np.zeros(0)
        other, own = shares[chosen], shares[place]
        scale = np.sqrt(other * (1 - other) * own * (1 - own))
        if not (abs(together - other * own) > SAME * scale).any():
            chosen.append(place)
    return chosen


def _within(one: str, other: str) -> bool:
    """Whether either is part of the other."""
    return f" {one} " in f" {other} " or f" {other} " in f" {one} "


def _acquaintance(column: "Array", seen: Observations, question: Question) -> tuple[str, float]:
    """The measured feature that goes most with the phrase, and its correlation."""
    import numpy as np

    best, most = "", 0.0
    for name, values in zip(seen.names, seen.values[question.rows].T, strict=True):
        if values.std() > 0 and column.std() > 0:
            correlation = float(np.corrcoef(values, column)[0, 1])
            if abs(correlation) > abs(most):
                best, most = name, correlation
    return best, most
