"""What users asked of each generation of a deployment, and what they said of its answers."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from statistics import fmean

from iterdeploy.curation.people import latest
from iterdeploy.metrics.results import mean_interval
from iterdeploy.record.standing import standing
from iterdeploy.record.store import TraceStore
from iterdeploy.record.traffic import Traffic
from iterdeploy.tables import NOTHING, Table
from iterdeploy.types import Status


def traffic_table(store: TraceStore, name: str) -> Table:
    """One row for each generation that answered somebody."""
    traffic = Traffic(store)
    origins = {origin.trace_id: origin for origin in traffic.origins()}
    now = standing(act for _, act in traffic.acts())
    said = latest(store.feedback())
    answers: Counter[int] = Counter()
    users: dict[int, set[str]] = defaultdict(set)
    valid: dict[int, list[float]] = defaultdict(list)
    published: dict[int, list[float]] = defaultdict(list)
    for trace in store.traces():
        if (origin := origins.get(trace.id)) is None:
            continue
        answers[trace.generation] += 1
        users[trace.generation].add(origin.user)
        if trace.verdict.status not in (Status.UNJUDGED, Status.ERROR):
            valid[trace.generation].append(float(trace.valid))
        if judgements := said.get(trace.id):
            published[trace.generation].append(fmean(one.judgement == "publish" for one in judgements))
    rows = tuple(
        (
            f"{generation}{' *' if generation == now.promoted else ''}",
            str(answers[generation]),
            str(len(users[generation])),
            _share(valid[generation]),
            _share(published[generation]),
        )
        for generation in sorted(answers)
    )
    notes = [f"* generation {now.promoted} serves"]
    if now.canary is not None:
        notes.append(f"generation {now.canary} answers {now.share:.1%} of the requests")
    notes += [f"generation {g} is a candidate: {why}" for g, why in sorted(now.candidates.items())]
    columns = ("generation", "answers", "users", "valid, of those with a validator", "published, of those judged")
    return Table(f"{name}: what was asked, by generation", columns, rows, tuple(notes))


def _share(values: Sequence[float]) -> str:
    """A mean with its 95% interval, and of how many."""
    if not values:
        return NOTHING
    interval = mean_interval(values, len(values))
    return f"{fmean(values):.1%} [{interval.low:.1%}, {interval.high:.1%}] of {len(values)}"
