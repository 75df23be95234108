"""What raises the odds of being kept: the designs of the two regressions, for each generation and over all of them.

Each answer counts once, with its *first* decision: whether the pool curated after its own generation holds it. A later
pool decides on it again, but a policy that goes by the answer alone repeats itself, so counting those decisions would
count the same evidence several times over.

- "published": is a valid answer kept at all? Compared with valid answers to like tasks: the nuisance is each domain
  with a straight line in the tasks' size, and the generation. Where curation picks among rivals (`rivals_allowed`),
  only answers that had no rival enter, because whether a rival was better is not what is asked here.
- "picked": of two valid answers of one generation to the same task, of which one was kept, which one? A pair is one
  row, the kept answer less the dropped one: the pairwise conditional likelihood (Liang, 1987), in which all that the
  two have in common cancels. With two samples a task it is the conditional logit. A pair of a task with n answers
  weighs 2 / n, which gives the pairs the information of the exact conditional likelihood where nothing is rewarded.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from iterdeploy.audit.design import Design, choose
from iterdeploy.audit.logit import CONFIDENCE, Coefficient, estimate
from iterdeploy.audit.observe import ACTION, Observations

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

PUBLISHED, PICKED = "published", "picked"

ACTION_INFLATION = 2.0
"""The most that an action's share may inflate a variance: a marker made of actions would drown in their shares."""
EXPECTED_BEYOND = 10.0
"""If this many tasks should have kept more answers than any did, curation picks among rivals."""


@dataclass(frozen=True, slots=True)
class Drift:
    """Change of a coefficient from one generation to the next: a line through them, weighted by precision."""

    slope: float
    low: float
    high: float
    p: float


@dataclass(frozen=True, slots=True)
class Reward:
    """One of the two regressions."""

    question: str
    decisions: int
    """Rows: answers, or pairs of answers."""
    kept: int
    overall: Mapping[str, Coefficient]
    by_generation: Mapping[int, Mapping[str, Coefficient]]
    drift: Mapping[str, Drift]
    spread: Mapping[str, float]
    """Standard deviation of each feature among the valid answers that were decided on."""
    left_out: Mapping[str, str]
    """Feature -> why it has no coefficient."""
    note: str
    """Why no feature has one; empty if some may."""


@dataclass(frozen=True, slots=True)
class Decisions:
    """The first decision on each valid deployed answer, (R,) of all answers."""

    made: "NDArray[np.bool_]"
    kept: "NDArray[np.bool_]"
    sole: "NDArray[np.bool_]"
    """No more valid answers to its task were there than curation keeps."""


def rivals_allowed(seen: Observations, kept: "NDArray[np.bool_]") -> int | None:
    """How many answers a task may keep; None where curation does not pick among the answers of a task.

    `kept`: (G, R). The last pool is looked at: no task keeps more than k answers, though at the rate at which all
    are kept many would. Generations of which it holds none are not candidates for it.
    """
    import numpy as np
    from scipy.stats import binom

    there = seen.deployed & seen.valid & np.isin(seen.generation, seen.generation[kept[-1]])
    answers = np.bincount(seen.task[there])
    survivors = np.bincount(seen.task[there], weights=kept[-1][there])
    most = int(survivors.max(initial=0))
    rate = survivors.sum() / max(1, answers.sum())
    expected = float(binom.sf(most, answers, rate).sum())
    return most if most and expected >= EXPECTED_BEYOND else None


def decisions(seen: Observations, kept: "NDArray[np.bool_]", allowed: int | None) -> Decisions:
    """`kept`: (G, R)."""
    import numpy as np

    made = seen.deployed & seen.valid & (seen.generation < len(kept))
    first = kept[np.minimum(seen.generation, len(kept) - 1), np.arange(len(seen.ids))] & made
    sole = made.copy()
    if allowed is not None:
        for generation in range(len(kept)):
            so_far = np.bincount(seen.task[made & (seen.generation <= generation)], minlength=int(seen.task.max()) + 1)
            now = seen.generation == generation
            sole[now] &= so_far[seen.task[now]] <= allowed
    return Decisions(made, first, sole)


def published(seen: Observations, decided: Decisions) -> Reward:
    """What makes an answer be kept at all."""
    import numpy as np

    asked = decided.made & decided.sole
    rows = _where_both_happen(seen, asked, decided.kept)
    design = _published_design(seen, rows, decided.kept)
    generations = {
        int(generation): _published_design(seen, rows & (seen.generation == generation), decided.kept)
        for generation in np.unique(seen.generation[rows])
    }
    which = "valid answers" if decided.sole[decided.made].all() else "valid answers without a rival"
    note = f"{decided.kept[asked].sum()} of {asked.sum()} {which} were kept: there is nothing to compare"
    return _reward(PUBLISHED, design, generations, _spread(seen, decided), note)


def picked(seen: Observations, decided: Decisions) -> Reward:
    """What makes one answer be kept rather than another one to the same task."""
    import numpy as np

    groups: dict[tuple[int, int], list[int]] = defaultdict(list)
    for row in np.flatnonzero(decided.made):
        groups[int(seen.task[row]), int(seen.generation[row])].append(int(row))
    winners, losers, weights = [], [], []
    for group in groups.values():
        won = [row for row in group if decided.kept[row]]
        lost = [row for row in group if not decided.kept[row]]
        winners += [row for row in won for _ in lost]
        losers += [row for _ in won for row in lost]
        weights += [2 / len(group)] * (len(won) * len(lost))
    better, worse = np.array(winners, dtype=np.int64), np.array(losers, dtype=np.int64)
    design = Design(
        names=seen.names,
        columns=seen.values[better] - seen.values[worse],
        nuisance=np.empty((len(better), 0)),
        kept=np.ones(len(better)),
        weights=np.array(weights),
        clusters=seen.task[better],
    )
    generation = seen.generation[better]
    generations = {int(one): design.only(generation == one) for one in np.unique(generation)}
    note = "of no two valid answers of one generation to the same task one was kept and one dropped"
    return _reward(PICKED, design, generations, _spread(seen, decided), note)


def _reward(
    question: str, design: Design, generations: Mapping[int, Design], spread: Mapping[str, float], note: str
) -> Reward:
    """`note`: why there are no rows, if there are none."""
    cautious = {name: ACTION_INFLATION for name in design.names if name.startswith(ACTION)}
    names, left_out = choose(design, cautious) if len(design.kept) else ((), {})
    by_generation = {number: estimate(one.pick(names)) for number, one in generations.items()}
    return Reward(
        question=question,
        decisions=len(design.kept),
        kept=int(design.kept.sum()),
        overall=estimate(design.pick(names)),
        by_generation=by_generation,
        drift={name: found for name in names if (found := _drift(name, by_generation)) is not None},
        spread=spread,
        left_out=left_out,
        note="" if len(design.kept) else note,
    )


def _spread(seen: Observations, decided: Decisions) -> dict[str, float]:
    values = seen.values[decided.made]
    return {name: float(one) for name, one in zip(seen.names, values.std(axis=0), strict=True)} if len(values) else {}


def _published_design(seen: Observations, rows: "NDArray[np.bool_]", kept: "NDArray[np.bool_]") -> Design:
    """The nuisance: one column for each domain and one for its size, one for each generation but the first."""
    import numpy as np

    domain, size, generation = seen.domain[rows], seen.size[rows], seen.generation[rows]
    columns = [np.ones(len(size))]
    for one in np.unique(domain):
        columns += [(domain == one).astype(float), (domain == one) * size]
    columns += [(generation == one).astype(float) for one in np.unique(generation)[1:]]
    return Design(
        names=seen.names,
        columns=seen.values[rows],
        nuisance=np.column_stack(columns),
        kept=kept[rows].astype(float),
        weights=np.ones(len(size)),
        clusters=seen.task[rows],
    )


def _where_both_happen(seen: Observations, rows: "NDArray[np.bool_]", kept: "NDArray[np.bool_]") -> "NDArray[np.bool_]":
    """Without the generations and domains that kept all or nothing: they compare nothing."""
    import numpy as np

    left = rows.copy()
    before = -1
    while (there := int(left.sum())) != before:
        before = there
        for labels in (seen.generation, seen.domain):
            for one in np.unique(labels[left]):
                group = left & (labels == one)
                if kept[group].all() or not kept[group].any():
                    left &= ~group
    return left


def _drift(name: str, by_generation: Mapping[int, Mapping[str, Coefficient]]) -> Drift | None:
    """None unless three generations have a number."""
    import numpy as np
    from scipy.stats import norm

    told = [(number, one[name]) for number, one in by_generation.items() if name in one and one[name].error]
    if len(told) < 3:
        return None
    when = np.array([number for number, _ in told], dtype=float)
    values = np.array([one.value for _, one in told], dtype=float)
    precision = np.array([one.error for _, one in told], dtype=float) ** -2.0
    centred = when - np.average(when, weights=precision)
    information = float(np.sum(precision * centred**2))
    slope, error = float(np.sum(precision * centred * values)) / information, information**-0.5
    reach = float(norm.ppf((1 + CONFIDENCE) / 2)) * error
    return Drift(slope, slope - reach, slope + reach, float(2 * norm.sf(abs(slope) / error)))
