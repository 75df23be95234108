"""The trace store: one SQLite file per run, append-only.

A trace is written once, in the same transaction as the rest of its batch, under the key (task, generation, sample
index); a key that is there is never sampled again. Token ids and log-probabilities are compressed blobs of 32-bit
values. Columns that reports ask for stand beside them, so that SQL answers without unpacking.
"""

import json
import os
import sqlite3
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import starmap
from pathlib import Path
from typing import Any

import zstandard

from iterdeploy.config import UserError
from iterdeploy.metrics.records import Outcome
from iterdeploy.metrics.results import TaskResult
from iterdeploy.record import sqlite
from iterdeploy.types import Completion, Sampling, Split, Status, Task, Trace, Verdict, content_hash

SCHEMA_VERSION = 1

SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE tasks (
    id TEXT PRIMARY KEY, domain TEXT NOT NULL, size INTEGER NOT NULL, split TEXT NOT NULL,
    prompt TEXT NOT NULL, payload TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE traces (
    id TEXT NOT NULL UNIQUE, task_id TEXT NOT NULL REFERENCES tasks (id),
    generation INTEGER NOT NULL, sample_index INTEGER NOT NULL, policy_id TEXT NOT NULL,
    status TEXT NOT NULL, reason TEXT NOT NULL, failed_step INTEGER, plan TEXT NOT NULL, plan_length INTEGER NOT NULL,
    cost REAL, strict INTEGER NOT NULL, validator TEXT NOT NULL,
    text TEXT NOT NULL, finish_reason TEXT NOT NULL, reasoning_tokens INTEGER NOT NULL, tokens INTEGER NOT NULL,
    prompt_token_ids BLOB NOT NULL, token_ids BLOB NOT NULL, logprobs BLOB,
    sampling TEXT NOT NULL, source TEXT NOT NULL,
    UNIQUE (task_id, generation, sample_index)
);
CREATE INDEX traces_by_generation ON traces (generation, status);
CREATE TABLE seconds (generation INTEGER NOT NULL, activity TEXT NOT NULL, seconds REAL NOT NULL);
"""

_TRACE_COLUMNS = """
    traces.id, task_id, tasks.domain, tasks.size, tasks.split, generation, sample_index, policy_id, sampling, text,
    prompt_token_ids, token_ids, logprobs, finish_reason, reasoning_tokens, status, reason, failed_step, plan, cost,
    strict, validator, source
    FROM traces JOIN tasks ON tasks.id = task_id
"""


class StoreError(UserError):
    """The store cannot be used."""


@dataclass(frozen=True, slots=True)
class Written:
    """Where a trace stands in the store and what it is about, without its content."""

    row: int
    """Grows from each trace written to the next."""
    id: str
    task_id: str
    generation: int
    status: str


@dataclass(frozen=True, slots=True)
class Listed:
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
    """Its beginning."""
    steps: int


@dataclass(frozen=True, slots=True)
class Kind:
    """What sort of task one is."""

    domain: str
    size: int
    split: str


class TraceStore:
    """The store in `path`; made if it is not there. `read_only` never writes and never waits for a writer."""

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self.path = path
        if read_only and not path.is_file():
            raise StoreError(f"{path}: there is no trace store here yet")
        try:
            self._sql = sqlite.reader(path) if read_only else sqlite.writer(path)
            version = self._schema_version()
            if version is None and not read_only:
                self._sql.execute("PRAGMA journal_mode = WAL")
                self._create()
                version = str(SCHEMA_VERSION)
        except sqlite3.DatabaseError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_NOTADB:
                raise
            raise StoreError(f"{path}: this is not a trace store of iterdeploy; nothing was changed") from None
        if version is None:
            raise StoreError(f"{path}: there is no trace store here yet")
        self._file = path.stat()
        if version != str(SCHEMA_VERSION):
            raise StoreError(
                f"{path}: this store has schema version {version}, this iterdeploy reads version {SCHEMA_VERSION}; "
                "use the iterdeploy version that wrote it, or start a new run; nothing was changed"
            )

    def _schema_version(self) -> str | None:
        """The store's schema version; None if nothing has been written into it yet."""
        tables = {name for (name,) in self._sql.execute("SELECT name FROM sqlite_master")}
        if not tables:
            return None
        row = "meta" in tables and self._sql.execute("SELECT value FROM meta WHERE key = 'schema'").fetchone()
        if not row:
            raise StoreError(f"{self.path}: this is not a trace store of iterdeploy; nothing was changed")
        return str(row[0])

    def _create(self) -> None:
        with _Transaction(self._sql):
            if self._schema_version() is not None:  # another process was faster
                return
            for statement in SCHEMA.split(";"):
                self._sql.execute(statement)
            self._sql.execute("INSERT INTO meta VALUES ('schema', ?)", [str(SCHEMA_VERSION)])

    def close(self) -> None:
        self._sql.close()

    def add(self, tasks: Mapping[str, Task], traces: Iterable[Trace], seconds: Mapping[tuple[int, str], float]) -> None:
        """Writes the traces, their tasks and the seconds spent on them: all or nothing."""
        rows = list(traces)
        with self._transaction():
            self._sql.executemany(
                "INSERT OR IGNORE INTO tasks VALUES (?, ?, ?, ?, ?, ?)",
                [_task_row(tasks[task_id]) for task_id in sorted({trace.task_id for trace in rows})],
            )
            self._sql.executemany(
                f"INSERT INTO traces VALUES ({', '.join('?' * 22)})", [_trace_row(trace) for trace in rows]
            )
            self._add_seconds(seconds)

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
        return set(
            self._sql.execute("SELECT task_id, generation, sample_index FROM traces WHERE generation = ?", [generation])
        )

    def tasks(self, ids: Sequence[str] | None = None) -> Iterator[Task]:
        for row in self._sql.execute("SELECT id, domain, size, split, prompt, payload FROM tasks ORDER BY id"):
            if ids is None or row[0] in ids:
                yield Task(row[0], row[1], row[2], Split(row[3]), row[4], json.loads(row[5]))

    def traces(
        self,
        *,
        generation: int | None = None,
        up_to: int | None = None,
        split: Split | None = None,
        status: Status | None = None,
    ) -> Iterator[Trace]:
        """Traces in the order (generation, task, sample index), read one by one."""
        wanted = {"generation = ?": generation, "generation <= ?": up_to, "split = ?": split, "status = ?": status}
        clauses = {clause: value for clause, value in wanted.items() if value is not None}
        where = f"WHERE {' AND '.join(clauses)}" if clauses else ""
        query = f"SELECT {_TRACE_COLUMNS} {where} ORDER BY generation, task_id, sample_index"
        return map(_trace, self._sql.execute(query, list(clauses.values())))

    def by_ids(self, ids: Iterable[str]) -> dict[str, Trace]:
        """Trace id -> trace, in the order of the ids. KeyError for one that is not there."""
        return {trace.id: trace for trace in self.each(ids)}

    def each(self, ids: Iterable[str]) -> Iterator[Trace]:
        """The traces of these ids, in their order, read one by one. KeyError for one that is not there."""
        query = f"SELECT {_TRACE_COLUMNS} WHERE traces.id = ?"
        for trace_id in ids:
            row = self._sql.execute(query, [trace_id]).fetchone()
            if row is None:
                raise KeyError(trace_id)
            yield _trace(row)

    def first_ids(self, count: int, *, generation: int, split: Split | None = None) -> list[str]:
        """Ids of at most `count` traces, the smallest first. Ids are hashes, so these are as good as drawn by lot."""
        where, values = ("", []) if split is None else ("AND split = ?", [split])
        query = f"""SELECT traces.id FROM traces JOIN tasks ON tasks.id = task_id
            WHERE generation = ? {where} ORDER BY traces.id LIMIT ?"""
        return [one for (one,) in self._sql.execute(query, [generation, *values, count])]

    def outcomes(self, split: Split, up_to: int) -> Iterator[Outcome]:
        """What became of every sample up to a generation, in the order (task, generation, sample index)."""
        query = """SELECT task_id, generation, CASE status WHEN 'valid' THEN plan END
            FROM tasks JOIN traces ON task_id = tasks.id
            WHERE split = ? AND generation <= ? ORDER BY tasks.id, generation, sample_index"""
        return starmap(Outcome, self._sql.execute(query, [split, up_to]))

    def results(self, generations: int) -> Iterator[TaskResult]:
        """How the tasks of the first `generations` generations went."""
        query = """SELECT generation, split, domain, size, task_id, sum(status = 'valid'), count(*)
            FROM traces JOIN tasks ON tasks.id = task_id WHERE generation < ? GROUP BY generation, task_id"""
        return starmap(TaskResult, self._sql.execute(query, [generations]))

    def written(self, after: int = 0) -> Iterator[Written]:
        """The traces written after the row `after`, in the order of their writing."""
        query = "SELECT rowid, id, task_id, generation, status FROM traces WHERE rowid > ? ORDER BY rowid"
        return starmap(Written, self._sql.execute(query, [after]))

    def written_of(self, ids: Iterable[str]) -> Iterator[Written]:
        """The same of the traces of these ids, in their order, without those that are not there."""
        query = "SELECT rowid, id, task_id, generation, status FROM traces WHERE id = ?"
        for trace_id in ids:
            yield from starmap(Written, self._sql.execute(query, [trace_id]))

    def listed(self, rows: Sequence[int]) -> list[Listed]:
        """The traces in these rows, in the order of the rows."""
        return self._listed(f"traces.rowid IN ({', '.join('?' * len(rows))}) ORDER BY traces.rowid", rows)

    def listed_of_task(self, task_id: str) -> list[Listed]:
        """All answers to a task, in the order (generation, sample index)."""
        return self._listed("task_id = ? ORDER BY generation, sample_index", [task_id])

    def _listed(self, where: str, values: Sequence[object]) -> list[Listed]:
        query = f"""SELECT traces.rowid, traces.id, task_id, domain, size, split, generation, sample_index, status,
            substr(reason, 1, 300), plan_length FROM traces JOIN tasks ON tasks.id = task_id WHERE {where}"""
        return list(starmap(Listed, self._sql.execute(query, values)))

    def task(self, task_id: str) -> Task:
        """KeyError for one that is not there."""
        query = "SELECT id, domain, size, split, prompt, payload FROM tasks WHERE id = ?"
        row = self._sql.execute(query, [task_id]).fetchone()
        if row is None:
            raise KeyError(task_id)
        return Task(row[0], row[1], row[2], Split(row[3]), row[4], json.loads(row[5]))

    def kind(self, task_id: str) -> Kind:
        query = "SELECT domain, size, split FROM tasks WHERE id = ?"
        return Kind(*self._sql.execute(query, [task_id]).fetchone())

    def verdict_counts(self) -> dict[int, dict[str, int]]:
        """Generation -> status -> traces."""
        out: dict[int, dict[str, int]] = {}
        for generation, status, count in self._sql.execute(
            "SELECT generation, status, count(*) FROM traces GROUP BY 1, 2 ORDER BY 1, 2"
        ):
            out.setdefault(generation, {})[status] = count
        return out

    def _transaction(self) -> "_Transaction":
        self._check_place()
        return _Transaction(self._sql)

    def _check_place(self) -> None:
        """StoreError if the file is no longer where it was: what is written would be lost, or seem another run's."""
        if not (self.path.exists() and os.path.samestat(self.path.stat(), self._file)):
            raise StoreError(
                f"{self.path}: this store was moved or removed while it was worked in, and nothing was written in its "
                "place. If it was moved, what was stored before is complete: resume the run under its new name"
            )


class _Transaction:
    """BEGIN IMMEDIATE ... COMMIT, or ROLLBACK when the body raises."""

    def __init__(self, sql: sqlite3.Connection) -> None:
        self._sql = sql

    def __enter__(self) -> None:
        self._sql.execute("BEGIN IMMEDIATE")

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        if error is None:
            self._sql.execute("COMMIT")
        elif self._sql.in_transaction:  # on a full disk SQLite has already rolled back
            self._sql.execute("ROLLBACK")


def trace_id(task_id: str, generation: int, sample_index: int, policy_id: str, completion: Completion) -> str:
    return content_hash("trace", task_id, generation, sample_index, policy_id, completion.token_ids)


def _task_row(task: Task) -> list[Any]:
    return [task.id, task.domain, task.size, task.split, task.prompt, json.dumps(dict(task.payload))]


def _trace_row(trace: Trace) -> list[Any]:
    said, verdict = trace.completion, trace.verdict
    return [
        trace.id, trace.task_id, trace.generation, trace.sample_index, trace.policy_id,
        verdict.status, verdict.reason, verdict.failed_step, json.dumps(verdict.plan), len(verdict.plan),
        verdict.cost, verdict.strict, verdict.validator,
        said.text, said.finish_reason, said.reasoning_tokens, len(said.token_ids),
        _pack("I", said.prompt_token_ids), _pack("I", said.token_ids),
        None if said.logprobs is None else _pack("f", said.logprobs),
        json.dumps(asdict(trace.sampling)), trace.source,
    ]  # fmt: skip


def _trace(row: Sequence[Any]) -> Trace:
    try:
        return _as_written(row)
    except (ValueError, TypeError, RecursionError, zstandard.ZstdError) as error:
        raise StoreError(
            f"the trace {row[0]!r} in the store is not as it was written ({error}). Nothing was changed: put "
            "traces.sqlite back from a copy of the run, or start a new run under another --name"
        ) from None


def _as_written(row: Sequence[Any]) -> Trace:
    (
        identifier, task_id, domain, size, split, generation, sample_index, policy_id, sampling, text,
        prompt_token_ids, token_ids, logprobs, finish_reason, reasoning_tokens, status, reason, failed_step, plan,
        cost, strict, validator, source,
    ) = row  # fmt: skip
    return Trace(
        id=identifier,
        task_id=task_id,
        domain=domain,
        size=size,
        split=Split(split),
        generation=generation,
        sample_index=sample_index,
        policy_id=policy_id,
        sampling=Sampling(**json.loads(sampling)),
        completion=Completion(
            text=text,
            prompt_token_ids=_unpack("I", prompt_token_ids),
            token_ids=_unpack("I", token_ids),
            logprobs=None if logprobs is None else _unpack("f", logprobs),
            finish_reason=finish_reason,
            reasoning_tokens=reasoning_tokens,
        ),
        verdict=Verdict(
            status=Status(status),
            reason=reason,
            failed_step=failed_step,
            plan=tuple(map(tuple, json.loads(plan))),
            cost=cost,
            strict=bool(strict),
            validator=validator,
        ),
        source=source,
    )


def _pack(code: str, values: Sequence[float]) -> bytes:
    return zstandard.compress(array(code, values).tobytes())


def _unpack(code: str, blob: bytes) -> tuple[Any, ...]:
    values = array(code)
    values.frombytes(zstandard.decompress(blob))
    return tuple(values)
