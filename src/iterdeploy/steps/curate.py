"""Curates: which traces of all generations so far train the next one, and how much each counts."""

from iterdeploy.curation.policies import TrainingPool, make_pool, weigh
from iterdeploy.steps.run import Run
from iterdeploy.types import Policy, Split


def curate(policy: Policy, run: Run) -> TrainingPool:
    """The pool after the policy's generation, from the deployed tasks' traces alone."""
    return run.stage(policy.generation).once("curated.json", lambda: _pool(policy, run), TrainingPool)


def _pool(policy: Policy, run: Run) -> TrainingPool:
    traces = run.store.traces(up_to=policy.generation, split=Split.DEPLOYED)
    return make_pool(run.curation, weigh(traces, run.tasks.order))
