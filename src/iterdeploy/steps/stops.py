"""The named states in which a run stops by itself, because going on would only waste time."""

import math
from collections.abc import Sequence

from iterdeploy.metrics.records import Drift
from iterdeploy.steps.run import Run
from iterdeploy.types import Policy, Status, TrainingPool

LARGEST_GAP = {"float32": 0.01, "bfloat16": 0.1}
"""Precision -> nats per token by which log-probabilities may differ between sampling and a forward pass, on average.

Measured on the embedded model: rounding makes 0.0000005 in float32 and 0.0003 in bfloat16; one generation of training
makes 0.008 to 0.15.
"""


class Stopped(Exception):
    """The run stopped by itself. `state` is its name, the message says why and what to change."""

    def __init__(self, state: str, message: str, counts: dict[str, dict[str, int]]) -> None:
        super().__init__(message)
        self.state = state
        self.counts = counts


def check_answers(policy: Policy, run: Run) -> None:
    """Stops when more of a generation's answers ran into the token limit than the configuration allows."""
    generation, config = policy.generation, run.config
    counts = run.store.verdict_counts()[generation]
    share = counts.get(Status.TRUNCATED, 0) / sum(counts.values())
    if share > config.sampling.max_truncated:
        raise Stopped(
            "too_many_truncated",
            f"generation {generation}: {share:.0%} of the answers ran into sampling.max_new_tokens = "
            f"{config.sampling.max_new_tokens} before they ended (sampling.max_truncated allows "
            f"{config.sampling.max_truncated:.0%}). Raise sampling.max_new_tokens, or take smaller tasks.sizes.",
            run.store.verdicts_by_domain(generation),
        )


def check_errors(new: Sequence[str], answers: int, policy: Policy, run: Run) -> None:
    """Stops when the `new` ERROR answers, given by their reasons, would make too many of a generation's `answers`.

    They are not stored then, so that a run goes on once their cause is gone.
    """
    if not new:
        return
    generation, config = policy.generation, run.config
    count = len(new) + run.shelf.verdict_counts().get(generation, {}).get(Status.ERROR, 0)
    most = math.ceil(config.sampling.max_errors * answers)
    if count > most:
        raise Stopped(
            "too_many_errors",
            f"generation {generation}: {count} of its {answers} answers have no verdict, more than the {most} that "
            f"sampling.max_errors = {config.sampling.max_errors:g} allows. The last: {new[-1]}. The latest of them are "
            "not stored: put right what failed and call `iterdeploy resume`.",
            run.store.verdicts_by_domain(generation),
        )


def check_policy(drift: Drift | None, policy: Policy, run: Run) -> None:
    """Stops when the policy is not the one that gave this generation's stored answers, as a stale adapter is."""
    if drift is None or drift.logprob_gap <= (largest := LARGEST_GAP[drift.dtype]):
        return
    generation = policy.generation
    weights = f"generation-{generation - 1}/policy" if generation else "the base model"
    raise Stopped(
        "policy_did_not_sample",
        f"generation {generation}: the log-probabilities that were recorded with its answers and those that its policy "
        f"gives them now differ by {drift.logprob_gap:.2g} nats per token (at most {largest} in {drift.dtype}), so "
        f"other weights have sampled than those in {weights}. Put back the weights that sampled, or start a new run; "
        "if nothing was changed, the sampler and the training do not run the same model.",
        run.store.verdicts_by_domain(generation),
    )


def check_pool(pool: TrainingPool, policy: Policy, run: Run) -> None:
    """Stops when curation left nothing to train on."""
    if pool.weights:
        return
    generation = policy.generation
    counts = run.store.verdicts_by_domain(generation)
    verdicts = "; ".join(
        f"{domain}: {sum(verdicts.values())} answers, " + ", ".join(f"{n} {status}" for status, n in verdicts.items())
        for domain, verdicts in counts.items()
    )
    raise Stopped(
        "no_traces_to_train_on",
        f"generation {generation}: curation kept no trace, so there is nothing to train on ({verdicts}). Take smaller "
        "tasks.sizes, more sampling.samples or a stronger model.name; if most answers are truncated, raise "
        "sampling.max_new_tokens; `iterdeploy traces` shows them.",
        counts,
    )
