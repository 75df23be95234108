"""What curators see: answers that wait to be judged, one answer with its verdict, and an example to ask."""

import random

from iterdeploy.gateway.deployed import Deployed
from iterdeploy.gateway.refusal import Refusal
from iterdeploy.planning.plans import facts_along, plan_of
from iterdeploy.record.standing import Key
from iterdeploy.types import JSON, Task, Trace

MOST = 50
"""Answers that are listed at once."""


def waiting(deployed: Deployed) -> list[str]:
    """Ids of delivered answers that nobody has judged, the oldest first."""
    return deployed.traffic.unjudged(MOST)


def shown(deployed: Deployed, trace_id: str, key: Key) -> dict[str, JSON]:
    """A trace as the page shows it. Refusal unless the key asked for it, or may judge."""
    origin = deployed.traffic.origin(trace_id)
    if origin is None or ("judge" not in key.scopes and origin.key != key.name):
        raise Refusal(404, "trace_not_found", f"there is no trace {trace_id!r} that this key may see")
    (trace,) = deployed.store.light([trace_id])
    task = deployed.store.task(trace.task_id)
    return {
        "id": trace.id,
        "model": f"{deployed.name}@g{trace.generation}",
        "prompt": task.prompt,
        "text": trace.text,
        "status": trace.verdict.status.value,
        "reason": trace.verdict.reason,
        "plan": _plan(task, trace),
    }


def example(deployed: Deployed) -> str:
    """The prompt of a task that the validator knows."""
    return random.choice(deployed.components.tasks.deployed(deployed.standing().promoted)).prompt


def _plan(task: Task, trace: Trace) -> JSON:
    """The plan's steps, and the facts that hold before it and after each step that can be taken."""
    if not {"domain", "problem"} <= task.payload.keys() or not (steps := plan_of(trace.verdict)):
        return None
    seen = ["\n".join(facts) for facts in facts_along(task.payload, steps)]
    return {"steps": [" ".join(step) for step in steps], "states": seen} if seen else None
