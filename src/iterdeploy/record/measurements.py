"""Answers that a generation gave to held-out tasks at another temperature, only to be measured.

They are kept in a table of their own and under keys of their own, in the form in which the store keeps traces: a batch
is written whole or not at all, and a key that is there is never sampled again.
"""

from collections.abc import Iterable, Mapping

from iterdeploy.record.rows import inserting, judged_columns, sealed
from iterdeploy.record.store import TraceStore
from iterdeploy.types import Task, Trace


class Measurements:
    """The measurements at one temperature."""

    def __init__(self, store: TraceStore, temperature: float) -> None:
        self._store = store
        self._temperature = temperature

    def keys(self, generation: int) -> set[tuple[str, int, int]]:
        """(task id, generation, sample index) of every measurement of the generation."""
        query = "SELECT task_id, generation, sample_index FROM measurements WHERE generation = ? AND temperature = ?"
        return {tuple(row) for row in self._store.rows(query, [generation, self._temperature])}

    def add(self, tasks: Mapping[str, Task], traces: Iterable[Trace], seconds: Mapping[tuple[int, str], float]) -> None:
        """Writes what was measured of answers to held-out tasks, which are in the store, and the seconds spent."""
        with self._store.together():
            for trace in traces:
                row = sealed(_row(trace))
                self._store.execute(inserting("measurements", row), list(row.values()))
            self._store.add_seconds(seconds)

    def verdict_counts(self) -> dict[int, dict[str, int]]:
        """Generation -> status -> measurements."""
        query = """SELECT generation, status, count(*) FROM measurements WHERE temperature = ?
            GROUP BY 1, 2 ORDER BY 1, 2"""
        out: dict[int, dict[str, int]] = {}
        for generation, status, count in self._store.rows(query, [self._temperature]):
            out.setdefault(generation, {})[status] = count
        return out


def _row(trace: Trace) -> dict[str, object]:
    return {
        **judged_columns(trace),
        "temperature": trace.sampling.temperature,
        "tokens": trace.totals.tokens,
        "text": trace.text,
    }
