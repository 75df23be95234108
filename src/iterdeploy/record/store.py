"""The trace store: one SQLite file per run, append-only, and the only thing that writes traces.

A trace is written once, in the same transaction as the rest of its batch, under the key (task, generation, sample
index); a key that is there is never sampled again. What the model wrote lies in a table of its own, call by call, so
whatever counts and chooses never reads it.
"""

import json
import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import starmap
from pathlib import Path

from iterdeploy.metrics.records import Outcome
from iterdeploy.metrics.results import TaskResult
from iterdeploy.record import places, schema, sqlite
from iterdeploy.record.database import Database, Row
from iterdeploy.record.rows import (
    TRACE_COLUMNS,
    call_row,
    feedback_of,
    feedback_row,
    inserting,
    task_of,
    task_row,
    trace_of,
    trace_row,
    whole,
)
from iterdeploy.record.sqlite import Sqlite, StoreError, damaged
from iterdeploy.types import Feedback, Split, Status, Task, Trace


@dataclass(frozen=True, slots=True)
class TraceRef:
    """Where a trace stands in the store and what it is about, without its content."""

    row: int
    """Grows from each trace written to the next."""
    id: str
    task_id: str
    generation: int
    status: str


@dataclass(frozen=True, slots=True)
class TraceSummary:
    """What a list says of a trace."""

    row: int
    id: str
    task: str
    domain: str
    size: int
    split: str
    generation: int
    sample: int
    status: str
    reason: str
    """The beginning of the verdict's reason."""
    facts: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class TaskFacets:
    """What a task is listed by."""

    domain: str
    size: int
    split: str


class TraceStore:
    """The store in `path`; made if it is not there. `read_only` never writes and never waits for a writer; to it, a
    store that is not there is empty."""

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self.path = path
        try:
            version = self._connect(places.connect(path, read_only=read_only))
            self.found = version is not None
            """Whether anything was written into the store before it was opened."""
            if not self.found and read_only:
                self._connect(sqlite.nowhere())
                self._bring_forward()
                self._sql.execute("PRAGMA query_only = ON")
            elif not self.found:
                self._sql.prepare()
            if version != schema.VERSION and not read_only:
                self._bring_forward()
                version = schema.VERSION
            elif isinstance(self._sql, Sqlite) and version is not None and version < schema.VERSION:
                schema.show_as_current(self._sql, version)
            if not read_only:  # what cannot be written is refused before anything is computed for it
                with _Transaction(self._sql):
                    pass
        except sqlite3.DatabaseError as error:
            if getattr(error, "sqlite_errorcode", 0) != sqlite3.SQLITE_NOTADB:
                raise
            raise StoreError(f"{path}: this is not a trace store of iterdeploy; nothing was changed") from None
        self._file = path.stat() if path.exists() else None

    def _connect(self, sql: Database) -> int | None:
        """The schema version behind the connection."""
        self._sql = sql
        return self._version()

    def _version(self) -> int | None:
        """The store's schema version; None if nothing has been written into it yet. StoreError for a newer one."""
        tables = self._sql.tables()
        if not tables:
            return None
        row = "meta" in tables and self._sql.execute("SELECT value FROM meta WHERE key = 'schema'").fetchone()
        if not row:
            raise StoreError(f"{self.path}: this is not a trace store of iterdeploy; nothing was changed")
        if row["value"] not in map(str, range(1, schema.VERSION + 1)):
            raise StoreError(
                f"{self.path}: this store has schema version {row['value']}, this iterdeploy reads versions up to "
                f"{schema.VERSION}; use the iterdeploy version that wrote it, or start a new run; nothing was changed"
            )
        return int(row["value"])

    def _bring_forward(self) -> None:
        """Makes the tables of an empty store, or those of an earlier version current."""
        with _Transaction(self._sql):
            version = self._version()  # asked again: another process may have been faster
            if version is None:
                schema.create(self._sql)
            elif isinstance(self._sql, Sqlite) and version < schema.VERSION:
                schema.migrate(self._sql, version)

    def close(self) -> None:
        self._sql.close()

    def check(self) -> None:
        """StoreError unless the file and every row that says what became of an answer are as they were written. What
        the model wrote is checked when it is read."""
        if found := self._sql.fault():
            raise damaged(found)
        for rows in (TRACE_COLUMNS, "* FROM measurements"):
            for row in self._sql.execute(f"SELECT {rows}"):
                with whole(row):
                    pass

    def add(self, tasks: Mapping[str, Task], traces: Iterable[Trace], seconds: Mapping[tuple[int, str], float]) -> None:
        """Writes the traces, their tasks and the seconds spent on them: all or nothing."""
        traces = list(traces)
        with self._transaction():
            for task_id in sorted({trace.task_id for trace in traces}):
                self._insert("tasks", task_row(tasks[task_id]), "ON CONFLICT DO NOTHING")
            for trace in traces:
                self._insert("traces", trace_row(trace))
                for number, completion in enumerate(trace.completions):
                    self._insert("calls", call_row(trace.id, number, completion))
            self._add_seconds(seconds)

    def _insert(self, table: str, row: Mapping[str, object], otherwise: str = "") -> None:
        self._sql.execute(f"{inserting(table, row)} {otherwise}", list(row.values()))

    def add_feedback(self, feedback: Iterable[Feedback]) -> None:
        """Adds what people or programs say of traces. IntegrityError for a trace or an id that is there already."""
        with self._transaction():
            for said in feedback:
                self._insert("feedback", feedback_row(said))

    def feedback(self, trace_id: str | None = None, up_to: int | None = None) -> Iterator[Feedback]:
        """What was said of a trace, or of all, in the order in which it came in; up to a row, or all of it."""
        wanted = {"trace_id = ?": trace_id, "row <= ?": up_to}
        clauses = {clause: value for clause, value in wanted.items() if value is not None}
        where, values = f"WHERE {' AND '.join(clauses)}" if clauses else "", list(clauses.values())
        columns = 'id, trace_id, "user", judgement, correction, metrics, comment, at, consent, seal'
        yield from map(feedback_of, self._sql.execute(f"SELECT {columns} FROM feedback {where} ORDER BY row", values))

    def add_seconds(self, seconds: Mapping[tuple[int, str], float]) -> None:
        """Adds time, in seconds, to (generation, activity)."""
        with self._transaction():
            self._add_seconds(seconds)

    def _add_seconds(self, seconds: Mapping[tuple[int, str], float]) -> None:
        rows = [(generation, activity, spent) for (generation, activity), spent in seconds.items()]
        self._sql.executemany("INSERT INTO seconds VALUES (?, ?, ?)", rows)

    def seconds(self) -> dict[int, dict[str, float]]:
        """Generation -> activity -> seconds."""
        out: dict[int, dict[str, float]] = {}
        for generation, activity, spent in self._sql.execute(
            "SELECT generation, activity, sum(seconds) FROM seconds GROUP BY 1, 2 ORDER BY 1, 2"
        ):
            out.setdefault(generation, {})[activity] = spent
        return out

    def keys(self, generation: int) -> set[tuple[str, int, int]]:
        """(task id, generation, sample index) of every trace of the generation."""
        query = "SELECT task_id, generation, sample_index FROM traces WHERE generation = ?"
        return {tuple(row) for row in self._sql.execute(query, [generation])}

    def tasks(self, ids: Iterable[str] | None = None) -> Iterator[Task]:
        """All tasks, or those of the ids that are there, in the order of their ids."""
        if ids is None:
            yield from map(task_of, self._sql.execute("SELECT * FROM tasks ORDER BY id"))
            return
        for task_id in sorted(set(ids)):
            yield from map(task_of, self._sql.execute("SELECT * FROM tasks WHERE id = ?", [task_id]))

    def task(self, task_id: str) -> Task:
        """KeyError for one that is not there."""
        for task in self.tasks([task_id]):
            return task
        raise KeyError(task_id)

    def traces(
        self,
        *,
        generation: int | None = None,
        up_to: int | None = None,
        split: Split | None = None,
        status: Status | None = None,
        task: str | None = None,
    ) -> Iterator[Trace]:
        """Traces in the order (generation, task, sample index), read one by one. They are light: what the model wrote
        is read when it is looked at."""
        wanted = {
            "generation = ?": generation,
            "generation <= ?": up_to,
            "split = ?": split,
            "status = ?": status,
            "task_id = ?": task,
        }
        clauses = {clause: value for clause, value in wanted.items() if value is not None}
        where = f"WHERE {' AND '.join(clauses)}" if clauses else ""
        query = f"SELECT {TRACE_COLUMNS} {where} ORDER BY generation, task_id, sample_index"
        return (trace_of(row, self._sql) for row in self._sql.execute(query, list(clauses.values())))

    def light(self, ids: Iterable[str]) -> Iterator[Trace]:
        """The traces of these ids, in their order, without their content. KeyError for one that is not there."""
        query = f"SELECT {TRACE_COLUMNS} WHERE traces.id = ?"
        for trace_id in ids:
            row = self._sql.execute(query, [trace_id]).fetchone()
            if row is None:
                raise KeyError(trace_id)
            yield trace_of(row, self._sql)

    def each(self, ids: Iterable[str]) -> Iterator[Trace]:
        """The traces of these ids with their content, read one by one."""
        for trace in self.light(ids):
            yield replace(trace, completions=tuple(trace.completions))

    def first_ids(self, count: int, *, generation: int, split: Split | None = None) -> list[str]:
        """Ids of at most `count` traces, the smallest first. Ids are hashes, so these are as good as drawn by lot."""
        where, values = ("", []) if split is None else ("AND split = ?", [split])
        query = f"""SELECT traces.id AS id FROM traces JOIN tasks ON tasks.id = task_id
            WHERE generation = ? {where} ORDER BY traces.id LIMIT ?"""
        return [row["id"] for row in self._sql.execute(query, [generation, *values, count])]

    def outcomes(self, split: Split, up_to: int) -> Iterator[Outcome]:
        """What became of every sample up to a generation, in the order (task, generation, sample index)."""
        query = """SELECT task_id, generation,
                CASE WHEN status = 'valid' THEN CASE answer WHEN 'null' THEN digest ELSE answer END END
            FROM tasks JOIN traces ON task_id = tasks.id
            WHERE split = ? AND generation <= ? ORDER BY tasks.id, generation, sample_index"""
        return starmap(Outcome, self._sql.execute(query, [split, up_to]))

    def results(self, generations: int) -> Iterator[TaskResult]:
        """How the tasks of the first `generations` generations went, also where they were asked only to measure."""
        query = """SELECT generation, split, domain, size, tasks.id, count(*) FILTER (WHERE status = 'valid'), count(*),
                NULL
            FROM traces JOIN tasks ON tasks.id = task_id WHERE generation < ? AND status <> 'unjudged'
            GROUP BY generation, tasks.id
            UNION ALL
            SELECT generation, split, domain, size, tasks.id, count(*) FILTER (WHERE status = 'valid'), count(*),
                temperature
            FROM measurements JOIN tasks ON tasks.id = task_id WHERE generation < ?
            GROUP BY generation, tasks.id, temperature"""
        return starmap(TaskResult, self._sql.execute(query, [generations, generations]))

    def written(self, after: int = 0) -> Iterator[TraceRef]:
        """The traces written after the row `after`, in the order of their writing."""
        query = "SELECT row, id, task_id, generation, status FROM traces WHERE row > ? ORDER BY row"
        return starmap(TraceRef, self._sql.execute(query, [after]))

    def written_of(self, ids: Iterable[str]) -> Iterator[TraceRef]:
        """The same of the traces of these ids, in their order, without those that are not there."""
        query = "SELECT row, id, task_id, generation, status FROM traces WHERE id = ?"
        for trace_id in ids:
            yield from starmap(TraceRef, self._sql.execute(query, [trace_id]))

    def listed(self, rows: Sequence[int]) -> list[TraceSummary]:
        """The traces in these rows, in the order of the rows."""
        return self._listed(f"row IN ({', '.join('?' * len(rows))}) ORDER BY row", rows)

    def listed_of_task(self, task_id: str) -> list[TraceSummary]:
        """All answers to a task, in the order (generation, sample index)."""
        return self._listed("task_id = ? ORDER BY generation, sample_index", [task_id])

    def _listed(self, where: str, values: Sequence[object]) -> list[TraceSummary]:
        query = f"""SELECT row, traces.id AS id, task_id AS task, domain, size, split, generation,
            sample_index AS sample, status, substr(reason, 1, 300) AS reason, facts
            FROM traces JOIN tasks ON tasks.id = task_id WHERE {where}"""
        return [
            TraceSummary(**{**row, "facts": json.loads(row["facts"])})
            for row in map(dict, self._sql.execute(query, values))
        ]

    def kind(self, task_id: str) -> TaskFacets:
        query = "SELECT domain, size, split FROM tasks WHERE id = ?"
        return TaskFacets(*self._sql.execute(query, [task_id]).fetchone())

    def verdict_counts(self) -> dict[int, dict[str, int]]:
        """Generation -> status -> traces."""
        out: dict[int, dict[str, int]] = {}
        for generation, status, count in self._sql.execute(
            "SELECT generation, status, count(*) FROM traces GROUP BY 1, 2 ORDER BY 1, 2"
        ):
            out.setdefault(generation, {})[status] = count
        return out

    def verdicts_by_domain(self, generation: int) -> dict[str, dict[str, int]]:
        """Domain -> status -> traces of the generation."""
        out: dict[str, dict[str, int]] = {}
        query = """SELECT domain, status, count(*) FROM traces JOIN tasks ON tasks.id = task_id
            WHERE generation = ? GROUP BY 1, 2 ORDER BY 1, 2"""
        for domain, status, count in self._sql.execute(query, [generation]):
            out.setdefault(domain, {})[status] = count
        return out

    def rows(self, query: str, values: Sequence[object] = ()) -> Iterator[Row]:
        """For the other modules of this room, which count in SQL."""
        return iter(self._sql.execute(query, values))

    def execute(self, statement: str, values: Sequence[object] = ()) -> None:
        """For the other modules of this room that write, inside `together`."""
        self._sql.execute(statement, values)

    def has(self, table: str) -> bool:
        return table in self._sql.tables()

    def define(self, script: str) -> None:
        """Makes further tables, inside `together`."""
        self._sql.define(script)

    def shrink(self) -> None:
        """Writes the tables anew, so that what was deleted is nowhere in them."""
        self._sql.shrink()

    def together(self) -> "_Transaction":
        """A context in which everything that is written is there whole or not at all; others may stand inside it."""
        self._check_place()
        return _Transaction(self._sql)

    _transaction = together

    def _check_place(self) -> None:
        """StoreError if the file is no longer where it was: what is written would be lost, or seem another run's."""
        if self._file and not (self.path.exists() and os.path.samestat(self.path.stat(), self._file)):
            raise StoreError(
                f"{self.path}: this store was moved or removed while it was worked in, and nothing was written in its "
                "place. If it was moved, what was stored before is complete: resume the run under its new name"
            )


class _Transaction:
    """BEGIN ... COMMIT, or ROLLBACK when the body raises; within another one a savepoint."""

    def __init__(self, sql: Database) -> None:
        self._sql = sql
        self._inner = sql.in_transaction

    def __enter__(self) -> None:
        if self._inner:
            self._sql.execute("SAVEPOINT within")
        else:
            self._sql.begin()

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        if error is None:
            self._sql.execute("RELEASE within" if self._inner else "COMMIT")
        elif self._sql.in_transaction:  # on a full disk SQLite has already rolled back
            self._sql.execute("ROLLBACK TO within" if self._inner else "ROLLBACK")
            if self._inner:
                self._sql.execute("RELEASE within")
