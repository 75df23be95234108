"""What is measured of a generation: from its stored answers, and from its policy how far it is from generation 0.

The policy is asked once more about some stored answers, one forward pass each, while no other model is loaded. It says
how far it has moved, and whether it is still the policy that gave its own answers.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from iterdeploy.config import RunConfig
from iterdeploy.metrics.coverage import as_json, measure
from iterdeploy.metrics.diversity import diversity, drift
from iterdeploy.metrics.records import Drift
from iterdeploy.models.scoring import policy_logprobs
from iterdeploy.record.run_dir import RunDir
from iterdeploy.record.store import TraceStore
from iterdeploy.steps.parts import Parts
from iterdeploy.steps.stops import check_policy
from iterdeploy.types import Policy, Split, Trace

FIRST_ANSWERS = 64
"""Generation 0's answers that every later policy is asked about, at most."""
OWN_ANSWERS = 8
"""Answers of its own that a policy is asked about, at most."""


def measured(policy: Policy, generation: int, run_dir: RunDir, parts: Parts) -> dict[str, Any]:
    """The content of metrics.json. Stops the run where the policy is not the one whose answers are stored."""
    store = run_dir.store
    moved = drift_of(policy, generation, store, parts.config)
    check_policy(moved, store, generation)
    references = {task.id: float(cost) for task in store.tasks() if (cost := task.payload.get("reference_cost"))}
    answers = list(store.traces(generation=generation))
    trained_on = run_dir.pool(generation - 1) if generation else None
    varied = {
        split.value: diversity(
            [one for one in answers if one.split is split],
            store.outcomes(split, generation),
            store.each(trained_on["weights"]) if trained_on and split is Split.DEPLOYED else (),
        )
        for split in Split
    }
    return as_json(replace(measure(answers, references), diversity=varied, drift=moved))


def drift_of(policy: Policy, generation: int, store: TraceStore, config: RunConfig) -> Drift | None:
    """How far the policy is from generation 0; None where no log-probabilities were recorded in this precision."""
    held_out = store.first_ids(FIRST_ANSWERS, generation=0, split=Split.HELD_OUT)
    first = _scored(store, held_out or store.first_ids(FIRST_ANSWERS, generation=0), config)
    own = _scored(store, store.first_ids(OWN_ANSWERS, generation=generation), config)
    if not first or not own:
        return None
    asked = [*first, *own] if generation else own
    rows = [(one.completion.prompt_token_ids, one.completion.token_ids) for one in asked]
    found = policy_logprobs(policy, rows, config)
    return drift(first, own, {one.id: values.tolist() for one, values in zip(asked, found, strict=True)})


def _scored(store: TraceStore, ids: Sequence[str], config: RunConfig) -> list[Trace]:
    """Those traces whose log-probabilities were recorded in the precision in which the policy will be asked."""
    return [
        one
        for one in store.each(ids)
        if one.completion.logprobs is not None and one.sampling.dtype == config.model.dtype
    ]
