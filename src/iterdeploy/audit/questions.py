"""The two questions that an audit asks, as rows of a regression and as decisions in strata.

- "published": is a valid answer kept at all? Compared with valid answers to like tasks: the regression has each domain
  with a straight line in the tasks' size, and the generation; the strata are generation, domain and range of sizes.
  Where curation picks among rivals (`rivals_allowed`), only answers that had no rival enter, because whether a rival
  was better is not what is asked here.
- "picked": of two valid answers of one generation to the same task, of which one was kept, which one? A pair is one
  row, the kept answer less the dropped one: the pairwise conditional likelihood (Liang, 1987), in which all that the
  two have in common cancels. With two samples a task it is the conditional logit. A pair of a task with n answers
  weighs 2 / n, which gives the pairs the information of the exact conditional likelihood where nothing is rewarded.
  The strata are the tasks.

R: rows. F: features.
"""

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from iterdeploy.audit.association import Decided, decided
from iterdeploy.audit.decisions import Decisions
from iterdeploy.audit.design import Design, orthonormal
from iterdeploy.audit.observe import Observations

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

PUBLISHED, PICKED = "published", "picked"

ROWS_OF_STRATUM = 8
"""Answers that a stratum of like tasks should have at least; with fewer, ranges of sizes are joined."""
MOST_RANGES = 8


@dataclass(frozen=True, slots=True)
class Question:
    name: str
    design: Design
    generation: "NDArray[np.int64]"
    """The generation of each row of the design, (R,)."""
    strata: Decided
    """The decisions on answers, in strata."""
    features: "NDArray[np.float64]"
    """The features of these answers, (answers, F)."""
    rows: "NDArray[np.int64]"
    """Which of all answers these are, (answers,)."""
    note: str
    """Why there are no rows, if there are none."""


def published(seen: Observations, first: Decisions) -> Question:
    import numpy as np

    asked = first.made & first.sole
    rows = _where_both_happen(seen, asked, first.kept)
    design = _published_design(seen, rows, first.kept)
    generation, places = seen.generation[rows], np.flatnonzero(rows)
    like = like_tasks(seen, places, len(np.unique(generation)))
    strata, compared = decided(design.kept, _numbered(generation, like), design.clusters)
    features = design.columns.copy()
    markers = np.isin(features, (0.0, 1.0)).all(axis=0)
    nuisance = orthonormal(
        design.nuisance
    )  # for other features than markers, exactness is not at stake: straight lines in size
    features[:, ~markers] -= nuisance @ (nuisance.T @ features[:, ~markers])
    which = "valid answers" if first.sole[first.made].all() else "valid answers without a rival"
    note = f"{first.kept[asked].sum()} of {asked.sum()} {which} were kept: there is nothing to compare"
    return Question(
        PUBLISHED, design, seen.generation[rows], strata, features[compared], np.flatnonzero(rows)[compared], note
    )


def picked(seen: Observations, first: Decisions) -> Question:
    import numpy as np

    groups: dict[tuple[int, int], list[int]] = defaultdict(list)
    for row in np.flatnonzero(first.made):
        groups[int(seen.task[row]), int(seen.generation[row])].append(int(row))
    winners, losers, weights = [], [], []
    for group in groups.values():
        won = [row for row in group if first.kept[row]]
        lost = [row for row in group if not first.kept[row]]
        winners += [row for row in won for _ in lost]
        losers += [row for _ in won for row in lost]
        weights += [2 / len(group)] * (len(won) * len(lost))
    better, worse = np.array(winners, dtype=np.int64), np.array(losers, dtype=np.int64)
    design = Design(
        names=seen.names,
        columns=seen.values[better] - seen.values[worse],
        tasks=np.empty((len(better), 0)),
        when=np.empty((len(better), 0)),
        kept=np.ones(len(better)),
        weights=np.array(weights, dtype=float),
        clusters=seen.task[better],
    )
    made = np.flatnonzero(first.made)
    same = _numbered(seen.task[made], seen.generation[made])
    strata, compared = decided(first.kept[made].astype(float), same, seen.task[made])
    note = "of no two valid answers of one generation to the same task one was kept and one dropped"
    return Question(PICKED, design, seen.generation[better], strata, seen.values[made[compared]], made[compared], note)


def _published_design(seen: Observations, rows: "NDArray[np.bool_]", kept: "NDArray[np.bool_]") -> Design:
    """Like tasks: a constant, and of each domain a column for itself and one for its size; one for each generation but
    the first."""
    import numpy as np

    domain, size, generation = seen.domain[rows], seen.size[rows], seen.generation[rows]
    columns = [np.ones(len(size))]
    for number in np.unique(domain):
        columns += [(domain == number).astype(float), (domain == number) * size]
    return Design(
        names=seen.names,
        columns=seen.values[rows],
        tasks=np.column_stack(columns),
        when=(generation[:, None] == np.unique(generation)[None, 1:]).astype(float),
        kept=kept[rows].astype(float),
        weights=np.ones(len(size)),
        clusters=seen.task[rows],
    )


def like_tasks(seen: Observations, rows: "NDArray[np.int64]", times: int) -> "NDArray[np.int64]":
    """Domain and range of sizes of each row's task, as a number, (R,).

    As many ranges as leave each `ROWS_OF_STRATUM` rows, were they divided into so many `times` besides.
    """
    import numpy as np

    domain, size = seen.domain[rows], seen.size[rows]
    cells = max(1, len(np.unique(domain)) * times)
    ranges = int(np.clip(len(size) // (ROWS_OF_STRATUM * cells), 1, MOST_RANGES))
    of_size = np.zeros(len(size), dtype=np.int64)
    for number in np.unique(domain):
        ours = domain == number
        ends = np.quantile(size[ours], np.arange(1, ranges) / ranges)
        of_size[ours] = np.searchsorted(ends, size[ours], side="left")
    return _numbered(domain, of_size)


def _numbered(*labels: "NDArray[np.int64]") -> "NDArray[np.int64]":
    """The combinations of labels as numbers from 0, (R,)."""
    import numpy as np

    numbers: NDArray[np.int64] = np.unique(np.stack(labels), axis=1, return_inverse=True)[1]
    return numbers


def _where_both_happen(seen: Observations, rows: "NDArray[np.bool_]", kept: "NDArray[np.bool_]") -> "NDArray[np.bool_]":
    """Without the generations and domains that kept all or nothing: they compare nothing."""
    import numpy as np

    left = rows.copy()
    before = -1
    while (there := int(left.sum())) != before:
        before = there
        for labels in (seen.generation, seen.domain):
            for label in np.unique(labels[left]):
                group = left & (labels == label)
                if kept[group].all() or not kept[group].any():
                    left &= ~group
    return left
