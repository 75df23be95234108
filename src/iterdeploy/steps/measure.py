"""Measures a generation: from its stored answers, and from its policy how far it is from generation 0.

The policy is asked once more about some stored answers, one forward pass each, while no other model is loaded. It says
how far it has moved, and whether it is still the policy that gave its own answers.
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import chain

from iterdeploy.config import RunConfig
from iterdeploy.metrics.coverage import coverage_of_splits
from iterdeploy.metrics.diversity import diversity, drift
from iterdeploy.metrics.form import written
from iterdeploy.metrics.records import Drift, Metrics
from iterdeploy.models.scoring import policy_logprobs
from iterdeploy.record.store import TraceStore
from iterdeploy.steps.run import Run
from iterdeploy.steps.stops import check_policy
from iterdeploy.types import Policy, Split, Trace

FIRST_ANSWERS = 64
"""Generation 0's answers that every later policy is asked about, at most."""
OWN_ANSWERS = 8
"""Answers of its own that a policy is asked about, at most."""


def measure(policy: Policy, run: Run) -> None:
    """Writes metrics.json. Stops the run where the policy is not the one whose answers are stored."""
    run.stage(policy.generation).json("metrics.json", lambda: written(generation_metrics(policy, run)))
    run.components.tracking.update(run.folder)


def generation_metrics(policy: Policy, run: Run) -> Metrics:
    store, generation = run.store, policy.generation
    moved = drift_of(policy, store, run.config)
    check_policy(moved, policy, run)
    answers = list(store.traces(generation=generation))
    pool = run.folder.pool(generation - 1) if generation else None
    varied = {
        split.value: diversity(
            [trace for trace in answers if trace.split is split],
            store.outcomes(split, generation),
            store.light(pool.weights) if pool and split is Split.DEPLOYED else (),
        )
        for split in Split
    }
    return replace(coverage_of_splits(answers), diversity=varied, drift=moved)


def drift_of(policy: Policy, store: TraceStore, config: RunConfig) -> Drift | None:
    """How far the policy is from generation 0; None where no log-probabilities were recorded in this precision."""
    held_out = store.first_ids(FIRST_ANSWERS, generation=0, split=Split.HELD_OUT)
    first = _scored(store, held_out or store.first_ids(FIRST_ANSWERS, generation=0), config)
    own = _scored(store, store.first_ids(OWN_ANSWERS, generation=policy.generation), config)
    if not first or not own:
        return None
    asked = [*first, *own] if policy.generation else own
    calls = [(call.prompt_token_ids, call.token_ids) for trace in asked for call in trace.completions]
    found = iter(policy_logprobs(policy, calls, config))
    logprobs = {trace.id: list(chain.from_iterable(next(found).tolist() for _ in trace.completions)) for trace in asked}
    return drift(first, own, logprobs)


def _scored(store: TraceStore, ids: Sequence[str], config: RunConfig) -> list[Trace]:
    """The traces whose log-probabilities were recorded in the precision in which the policy will be asked."""
    return [
        trace
        for trace in store.each(ids)
        if trace.totals.logprob is not None and trace.sampling.dtype == config.model.dtype
    ]
