"""Hand-made traces into a store."""

from iterdeploy.record.store import TraceStore
from iterdeploy.types import Split, Task, Trace


def task(task_id: str, split: Split = Split.DEPLOYED, size: int = 2) -> Task:
    return Task(task_id, "blocksworld", size, split, f"prompt of {task_id}", {"domain": "(d)", "problem": "(p) ä"})


def add(store: TraceStore, *traces: Trace, seconds: dict[tuple[int, str], float] | None = None) -> None:
    store.add({one.task_id: task(one.task_id, one.split, one.size) for one in traces}, traces, seconds or {})
