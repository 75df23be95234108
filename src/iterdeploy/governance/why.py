"""The ledger: why a trace trained a generation or did not, through every policy, with its weight.

Pools that were made are shown as they were recorded, and the way through the policies with the judgements that there
were at that time. The last entry says what would come of it now.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from iterdeploy.curation.named import find_policies
from iterdeploy.record.run_dir import RunDir
from iterdeploy.record.traffic import Traffic, today
from iterdeploy.sections import UserError
from iterdeploy.steps.curate import admitted
from iterdeploy.tasks import TaskSet
from iterdeploy.types import Split, Status, Trace, WeightedTrace


@dataclass(frozen=True, slots=True)
class Entry:
    """What became of a trace in one pool."""

    generation: int
    """The generation that the pool trains."""
    made: bool
    """Whether there is such a pool; else this is what would come of it now."""
    weight: float | None
    """Its weight in the loss; None: it is not in the pool."""
    steps: tuple[str, ...]
    """The policies that it passed, and at the end why it went no further."""


def why(run_dir: RunDir, tasks: TaskSet, trace_id: str) -> list[Entry]:
    """One entry for each pool since the trace was there. UserError for a trace that is not there."""
    traffic = Traffic(run_dir.store)
    if traffic.there and traffic.forgotten(trace_id):
        raise UserError(f"{trace_id}: this trace was deleted: its user was forgotten, or it was to be kept no longer")
    try:
        (trace,) = run_dir.store.light([trace_id])
    except KeyError:
        raise UserError(f"{trace_id}: {run_dir.path.name} has no such trace") from None
    rows = {int(str(act.details["generation"])): int(str(act.details["feedback"]))
            for _, act in traffic.acts() if act.act == "advance"}  # fmt: skip
    entries, generation = [], 0
    while (pool := run_dir.pool(generation)) is not None:
        if trace.generation <= generation:
            steps = passage(run_dir, tasks, trace, generation, rows.get(generation))
            entries.append(Entry(generation + 1, True, pool.weights.get(trace_id), steps))
        generation += 1
    steps = passage(run_dir, tasks, trace, max(generation, trace.generation), None)
    return [*entries, Entry(generation + 1, False, None, steps)]


def passage(run_dir: RunDir, tasks: TaskSet, trace: Trace, generation: int, feedback: int | None) -> tuple[str, ...]:
    """The way of a trace through the policies. `feedback`: row of the last judgement that counts; None: all do."""
    origin = Traffic(run_dir.store).origin(trace.id) if Traffic(run_dir.store).there else None
    if trace.split is Split.HELD_OUT:
        return ("left out: it is held out, to measure",)
    if trace.verdict.status is Status.ERROR:
        return ("left out: the validator failed on it",)
    if origin is not None and (reason := origin.withheld(today())):
        return (f"left out: {reason}",)
    kept: Sequence[WeightedTrace] = admitted(run_dir.store, tasks, generation, feedback)
    kept = [weighted for weighted in kept if weighted.trace.verdict.status is not Status.ERROR]
    steps: list[str] = []
    for policy in find_policies(run_dir.config.curation.policies):
        before = len(kept)
        kept = policy(kept)
        if not any(weighted.trace.id == trace.id for weighted in kept):
            return (*steps, f"{policy.name}: left out, as one of {before - len(kept)} of {before}")
        steps.append(f"{policy.name}: kept, as one of {len(kept)} of {before}")
    return tuple(steps)
