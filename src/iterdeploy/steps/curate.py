"""Curates: which traces of all generations so far train the next one, and how much each counts."""

from collections.abc import Mapping
from dataclasses import replace

from iterdeploy.curation.people import latest
from iterdeploy.curation.policies import make_pool, weigh
from iterdeploy.record.store import TraceStore
from iterdeploy.record.traffic import Traffic, today
from iterdeploy.steps.run import Run
from iterdeploy.tasks import TaskSet
from iterdeploy.types import NOTHING, Policy, Split, TrainingPool, Verdict, WeightedTrace


def curate(policy: Policy, run: Run) -> TrainingPool:
    """The pool after the policy's generation, from the deployed tasks' traces alone."""
    return run.stage(policy.generation).once("curated.json", lambda: _pool(policy, run), TrainingPool)


def _pool(policy: Policy, run: Run) -> TrainingPool:
    return make_pool(run.curation, admitted(run.store, run.tasks, policy.generation))


def admitted(
    store: TraceStore,
    tasks: TaskSet,
    generation: int,
    last_feedback: int | None = None,
    verdicts: Mapping[str, Verdict] = NOTHING,
) -> list[WeightedTrace]:
    """The traces up to the generation that may train at all, with what people say of them.

    Of live traffic those that were delivered, and whose users agree. `last_feedback`: the row up to which judgements
    count; None: all do. `verdicts`: trace id -> what is to count instead of the stored verdict."""
    origins = {origin.trace_id: origin for origin in Traffic(store).origins()}
    withheld = {trace_id for trace_id, origin in origins.items() if origin.withheld(today())}
    traces = (
        replace(trace, verdict=verdicts.get(trace.id, trace.verdict))
        for trace in store.traces(up_to=generation, split=Split.DEPLOYED)
        if trace.id not in withheld
    )
    askers = {trace_id: origin.user for trace_id, origin in origins.items()}
    return weigh(traces, tasks.order, latest(store.feedback(up_to=last_feedback)), askers)
