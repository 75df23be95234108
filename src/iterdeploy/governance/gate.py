"""Whether a new generation may serve: compared task by task with the one that serves, and within stated limits.

A generation is let through only where the data show that it is not worse by more than the margin: the whole 95%
interval of the paired difference in held-out coverage lies above it. That no difference was found is not enough.
"""

from collections.abc import Collection
from dataclasses import dataclass
from importlib.util import find_spec

from iterdeploy.metrics.paired import Paired, paired
from iterdeploy.metrics.records import Metrics
from iterdeploy.metrics.results import TaskResult
from iterdeploy.steps.run import Run
from iterdeploy.types import Policy


@dataclass(frozen=True, slots=True)
class Gate:
    """What was found of a new generation."""

    generation: int
    against: int
    """The generation that it is compared with."""
    passed: bool
    reasons: tuple[str, ...]
    """Why it was not let through; empty if it was."""
    held_out: Paired | None
    """Difference in coverage of the task set's held-out tasks, the new generation's less the other's."""
    traffic: Paired | None
    """The same difference on held-out traffic that has a validator; None without any. Shown, but decides nothing."""
    drift: float | None
    """Nats per token by which it is away from generation 0; None where log-probabilities are not recorded."""
    warnings: tuple[str, ...] | None
    """What the audit warns of; None where its libraries are not installed."""


def gate(promoted: int, policy: Policy, run: Run) -> Gate:
    terms = run.config.deployment
    assert terms is not None
    generation = policy.generation
    own = {task.id for task in run.tasks.held_out}
    results = [row for row in run.store.results(generation + 1) if row.split == "held_out" and row.temperature is None]
    held_out = _compared(results, promoted, generation, own)
    others = {row.task for row in results} - own
    drift = _drift(run.folder.metrics()[generation])
    warnings = _warnings(run, generation)
    reasons = [*_worse(held_out, terms.margin)]
    if drift is not None and drift > terms.max_drift:
        reasons.append(
            f"it is {drift:.2f} nats per token away from generation 0, more than deployment.max_drift = "
            f"{terms.max_drift:g}"
        )
    if warnings is not None and len(warnings) > terms.max_warnings:
        reasons.append(f"the audit warns: {'; '.join(warnings)}")
    traffic = _compared(results, promoted, generation, others)
    return Gate(generation, promoted, not reasons, tuple(reasons), held_out, traffic, drift, warnings)


def _compared(rows: Collection[TaskResult], before: int, after: int, tasks: Collection[str]) -> Paired | None:
    then, now = ([row for row in rows if row.generation == g and row.task in tasks] for g in (before, after))
    return paired(then, now)


def _worse(found: Paired | None, margin: float) -> list[str]:
    if found is None:
        return ["there are no held-out tasks to compare it by (tasks.held_out)"]
    if found.interval.low >= -margin:
        return []
    return [
        f"its held-out coverage differs by {found.difference:+.1%} [{found.interval.low:+.1%}, "
        f"{found.interval.high:+.1%}], which may be lower by more than deployment.margin = {margin:g}"
    ]


def _drift(metrics: Metrics) -> float | None:
    if metrics.drift is None:
        return None
    nats = metrics.drift.kl or metrics.drift.log_ratio
    return None if nats is None else nats.per_token.value


def _warnings(run: Run, generation: int) -> tuple[str, ...] | None:
    if not all(map(find_spec, ("scipy", "statsmodels"))):
        return None
    from iterdeploy.audit import audit

    pools = [list(pool.weights) for g in range(generation) if (pool := run.folder.pool(g))]
    return tuple(one.sentence for one in audit(run.store.traces(), pools, run.config.curation.policies).warnings)
