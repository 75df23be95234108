"""Who kept what: one audit for each curator, whether they differ, and what each of them does to the pool.

A judgement says that one curator kept or dropped one answer. Of each curator and feature, Fisher's exact test asks
whether the answers with more of the feature (with the marker; or longer than the median of like answers) are kept more
often, among answers to like tasks. Curators who are named are among at most 5% expected false names (Benjamini and
Hochberg, 1995), over all curators and features.

Many curators with few judgements each cannot be told apart one by one. Whether curators differ at all is asked of all
together: what is left of each one's score after the taste that all share is squared and added up, against the same
after permuting what is left within each curator's like answers.

R: judgements on valid answers. C: curators. F: features.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from iterdeploy.audit.association import associations, decided
from iterdeploy.audit.discovery import benjamini_hochberg
from iterdeploy.audit.observe import Observations
from iterdeploy.audit.questions import like_tasks
from iterdeploy.audit.records import CONFIDENCE, Curator, Curators, Taste
from iterdeploy.metrics.correction import holm
from iterdeploy.sections import ConfigError
from iterdeploy.types import Feedback

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Labels = NDArray[np.int64]

PERMUTATIONS = 999


@dataclass(frozen=True, slots=True)
class Judgement:
    """What one curator decided on one answer."""

    curator: str
    trace_id: str
    kept: bool


@dataclass(frozen=True, slots=True)
class Judged:
    """Judgements as arrays, in the order of the curators."""

    names: tuple[str, ...]
    """The curators' names, (C,)."""
    curator: "Labels"
    """(R,); so below."""
    row: "Labels"
    """The answer's row among those seen, (R,)."""
    kept: "Array"
    like: "Labels"
    """Like tasks: domain and range of sizes, as fine as the judgements of each curator allow."""
    markers: "Array"
    """Of each feature 1 where the answer has it, or more of it than the median of like answers, (R, F)."""


def read_judgements(path: Path) -> list[Judgement]:
    """JSON lines, each with `curator`, `trace_id` and `kept`. ConfigError where a line has another form."""
    from pydantic import TypeAdapter, ValidationError

    form = TypeAdapter(Judgement)
    if not path.is_file():
        raise ConfigError(f"--curators: {path} is not a file")
    out = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            out.append(form.validate_json(line))
        except ValidationError as error:
            raise ConfigError(
                f"--curators: line {number} of {path} is not a judgement ({error.errors()[0]['msg']}); each line must "
                'read like {"curator": "u17", "trace_id": "0f3a...", "kept": true}'
            ) from None
    return out


def of_feedback(said: Iterable[Feedback]) -> list[Judgement]:
    """What users said in the run's own store: publishing keeps an answer, rejecting drops it; the latest counts."""
    latest = {(one.user, one.trace_id): one.judgement for one in said if one.judgement in ("publish", "reject")}
    return [Judgement(user, trace_id, judgement == "publish") for (user, trace_id), judgement in latest.items()]


def curators(seen: Observations, judgements: Iterable[Judgement]) -> Curators:
    """Judgements on answers that are unknown or not valid are left out."""
    import numpy as np

    judged = _judged(seen, judgements)
    strata = np.unique(np.stack([judged.curator, judged.like]), axis=1, return_inverse=True)[1]
    tastes = [_tastes(seen, judged, judged.curator == number) for number in range(len(judged.names))]
    flat = [(number, name, one) for number, of in enumerate(tastes) for name, one in of.items()]
    q = benjamini_hochberg([one.difference.p for _, _, one in flat])
    corrected: dict[tuple[int, str], Taste] = {
        (number, name): Taste(one.difference, value, value < 1 - CONFIDENCE)
        for (number, name, one), value in zip(flat, q, strict=True)
    }
    moved = _influence(judged)
    total = float(judged.kept.sum())
    return Curators(
        judgements=len(judged.row),
        curators=[
            Curator(
                name=name,
                judged=int((judged.curator == number).sum()),
                kept=int(judged.kept[judged.curator == number].sum()),
                share=float(judged.kept[judged.curator == number].sum()) / max(1.0, total),
                tastes={feature: corrected[number, feature] for feature in tastes[number]},
                influence=dict(zip(seen.names, moved[number].tolist(), strict=True)),
            )
            for number, name in enumerate(judged.names)
        ],
        differ=_differ(seen.names, judged, strata),
    )


def _judged(seen: Observations, judgements: Iterable[Judgement]) -> Judged:
    import numpy as np

    places = {name: row for row, name in enumerate(seen.ids) if seen.valid[row]}
    known = sorted((one for one in judgements if one.trace_id in places), key=lambda one: (one.curator, one.trace_id))
    names = tuple(dict.fromkeys(one.curator for one in known))
    number = {name: place for place, name in enumerate(names)}
    row = np.array([places[one.trace_id] for one in known], dtype=np.int64)
    values, like = seen.values[row], like_tasks(seen, row, 1)
    longer = ~np.isin(values, (0.0, 1.0)).all(axis=0)
    for label in np.unique(like):
        ours = values[np.ix_(like == label, longer)]
        values[np.ix_(like == label, longer)] = ours > np.median(ours, axis=0)
    return Judged(
        names,
        np.array([number[one.curator] for one in known], dtype=np.int64),
        row,
        np.array([one.kept for one in known], dtype=float),
        like_tasks(seen, row, len(names)),
        values,
    )


def _tastes(seen: Observations, judged: Judged, rows: "NDArray[np.bool_]") -> dict[str, Taste]:
    """One curator's audit, feature by feature, without correction."""
    of, compared = decided(judged.kept[rows], judged.like[rows], seen.task[judged.row[rows]])
    found = associations(judged.markers[rows][compared], of) if len(of.kept) else []
    return {name: Taste(one, 1.0, False) for name, one in zip(seen.names, found, strict=False) if one is not None}


def _influence(judged: Judged) -> "Array":
    """(C, F): by how much each curator's choices move the share of each feature among all that is kept.

    What is kept has a share more of it than what was judged; this difference is the sum over the curators.
    """
    import numpy as np

    out = np.zeros((len(judged.names), judged.markers.shape[1]))
    if not len(judged.kept):
        return out
    np.add.at(out, judged.curator, judged.kept[:, None] * (judged.markers - judged.markers.mean(axis=0)))
    moved: Array = out / max(1.0, float(judged.kept.sum()))
    return moved


def _differ(names: Collection[str], judged: Judged, strata: "Labels") -> dict[str, float]:
    """Feature -> corrected p of "all curators have the same taste in it"."""
    import numpy as np

    of, rows = decided(judged.kept, strata, judged.row)
    if not len(of.kept):
        return {}
    centred, decisions = of.centred(judged.markers[rows]), of.centred(of.kept[:, None])[:, 0]
    squares = (centred**2).sum(axis=0)
    varying = squares > 1e-9
    centred = centred[:, varying]
    rest = decisions[:, None] - centred * (decisions @ centred / squares[varying])  # (R, F)
    curator = np.unique(judged.curator[rows], return_inverse=True)[1]
    scale = np.sqrt(np.maximum(_summed(centred**2, curator), 1e-9))

    def spread(order: "Labels") -> "Array":
        out: Array = ((_summed(centred * rest[order], curator) / scale) ** 2).sum(axis=0)
        return out

    observed, dice = spread(np.arange(len(rest))), np.random.default_rng(0)
    by_stratum = np.argsort(of.strata, kind="stable")
    beyond = np.zeros(len(observed))
    for _ in range(PERMUTATIONS):
        order = np.empty(len(rest), dtype=np.int64)
        order[by_stratum] = np.lexsort((dice.random(len(rest)), of.strata))
        beyond += spread(order) >= observed * (1 - 1e-9)
    p = holm(((1 + beyond) / (1 + PERMUTATIONS)).tolist())
    return dict(zip([name for name, there in zip(names, varying, strict=True) if there], p, strict=True))


def _summed(columns: "Array", labels: "Labels") -> "Array":
    """The sum of the columns over the rows of each label, (C, F)."""
    import numpy as np

    return np.stack([np.bincount(labels, weights=column) for column in columns.T], axis=1)
