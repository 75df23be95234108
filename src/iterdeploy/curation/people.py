"""Curation by what people said: published, by how many, by whom, and never too much of one of them.

Of each user the latest judgement of a trace counts. Whoever corrects an answer does not publish it. Only judgements
whose user agrees that they train are looked at.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from iterdeploy.types import Feedback, WeightedTrace, content_hash

AGAINST = ("reject", "correct")


def latest(feedback: Iterable[Feedback]) -> Mapping[str, tuple[Feedback, ...]]:
    """Trace id -> the latest judgement of each user who agrees that it trains. `feedback`: as it came in."""
    said: dict[str, dict[str, Feedback]] = defaultdict(dict)
    for one in feedback:
        if one.judgement != "metric":
            said[one.trace_id][one.user] = one
    return {trace: tuple(one for one in users.values() if one.consent == "train") for trace, users in said.items()}


def published(traces: Sequence[WeightedTrace]) -> list[WeightedTrace]:
    """Keeps the traces that more users publish than reject or correct."""
    return [
        weighted
        for weighted in traces
        if len(publishers(weighted)) > sum(said.judgement in AGAINST for said in weighted.feedback)
    ]


def min_curators(count: int, traces: Sequence[WeightedTrace]) -> list[WeightedTrace]:
    """Keeps the traces that at least `count` users publish."""
    return [weighted for weighted in traces if len(publishers(weighted)) >= count]


def trusted(users: frozenset[str], traces: Sequence[WeightedTrace]) -> list[WeightedTrace]:
    """Keeps the traces that one of the users publishes."""
    return [weighted for weighted in traces if users & publishers(weighted)]


def at_most_per_user(share: float, traces: Sequence[WeightedTrace]) -> list[WeightedTrace]:
    """As many as leave no user more than the share of what is kept, drawn by lot.

    A trace is shared by the users who publish it, or where nobody did, it is that of the user who asked. What is too
    much depends on how much is kept, so this is repeated until nothing more is too much. With fewer users than
    1 / share nothing is left.
    """
    kept = sorted(traces, key=lambda weighted: content_hash("at_most_per_user", weighted.trace.id))
    while True:
        fewer = _within(share * len(kept), kept)
        if len(fewer) == len(kept):
            return kept
        kept = fewer


def _within(most: float, traces: Sequence[WeightedTrace]) -> list[WeightedTrace]:
    """The first traces with which no user has more than `most`."""
    has: dict[str, float] = defaultdict(float)
    kept = []
    for weighted in traces:
        users = publishers(weighted) or {weighted.asker}
        part = 1 / len(users)
        if all(has[user] + part <= most + 1e-9 for user in users):
            kept.append(weighted)
            for user in users:
                has[user] += part
    return kept


def publishers(weighted: WeightedTrace) -> set[str]:
    """The users who publish it."""
    return {said.user for said in weighted.feedback if said.judgement == "publish"}
