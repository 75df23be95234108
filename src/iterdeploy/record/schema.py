"""The tables of the trace store, and how a store of an earlier version is read and brought forward.

What version 1 has in another form is described in the terms of today by views. A reader lays them over the old tables
and writes nothing; a writer copies what they show into new tables, in one transaction. Versions before 3 lack the table
of measurements, which a reader sees as an empty one, and those before 4 the rows' seals, which are nothing there.
"""

import json
import math

from iterdeploy.record.blobs import unpack
from iterdeploy.record.database import Database
from iterdeploy.record.sqlite import Sqlite
from iterdeploy.types import tokens_digest

VERSION = 4
UNSEALED = {
    1: ("tasks",),
    2: ("tasks", "traces", "calls", "feedback"),
    3: ("tasks", "traces", "calls", "feedback", "measurements"),
}
"""Version -> tables that are kept, without seals."""

OWN = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE tasks (
    id TEXT PRIMARY KEY, domain TEXT NOT NULL, size INTEGER NOT NULL, split TEXT NOT NULL,
    prompt TEXT NOT NULL, payload TEXT NOT NULL, seal TEXT
) WITHOUT ROWID;
CREATE TABLE seconds (generation INTEGER NOT NULL, activity TEXT NOT NULL, seconds REAL NOT NULL);
"""
"""What version 1 has in the same form, but for the seal."""

TRACES = """
CREATE TABLE traces (
    row INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE, task_id TEXT NOT NULL REFERENCES tasks (id),
    generation INTEGER NOT NULL, sample_index INTEGER NOT NULL, policy_id TEXT NOT NULL,
    status TEXT NOT NULL, reason TEXT NOT NULL, reward REAL NOT NULL, answer TEXT NOT NULL, facts TEXT NOT NULL,
    validator TEXT NOT NULL,
    calls INTEGER NOT NULL, tokens INTEGER NOT NULL, reasoning_tokens INTEGER NOT NULL, logprob REAL,
    digest TEXT NOT NULL,
    sampling TEXT NOT NULL, source TEXT NOT NULL, seal TEXT,
    UNIQUE (task_id, generation, sample_index)
);
CREATE INDEX traces_of_generation ON traces (generation, status);
CREATE TABLE calls (
    trace_id TEXT NOT NULL REFERENCES traces (id), number INTEGER NOT NULL,
    text TEXT NOT NULL, finish_reason TEXT NOT NULL, reasoning_tokens INTEGER NOT NULL,
    prompt_token_ids BLOB NOT NULL, token_ids BLOB NOT NULL, logprobs BLOB, seal TEXT,
    UNIQUE (trace_id, number)
);
CREATE TABLE feedback (
    row INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE, trace_id TEXT NOT NULL REFERENCES traces (id), "user" TEXT NOT NULL,
    judgement TEXT NOT NULL, correction TEXT, metrics TEXT NOT NULL, comment TEXT NOT NULL,
    at TEXT NOT NULL, consent TEXT NOT NULL, seal TEXT
);
CREATE INDEX feedback_of_trace ON feedback (trace_id);
"""

MEASUREMENTS = """(
    row INTEGER PRIMARY KEY,
    task_id TEXT NOT NULL REFERENCES tasks (id), generation INTEGER NOT NULL, temperature REAL NOT NULL,
    sample_index INTEGER NOT NULL, policy_id TEXT NOT NULL,
    status TEXT NOT NULL, reason TEXT NOT NULL, reward REAL NOT NULL, answer TEXT NOT NULL, facts TEXT NOT NULL,
    tokens INTEGER NOT NULL, text TEXT NOT NULL, seal TEXT,
    UNIQUE (task_id, generation, temperature, sample_index)
)"""
"""Answers to held-out tasks that were asked only to measure. They are not traces: nothing that trains reads them."""

VIEWS_OF_1 = """
CREATE TEMP VIEW tasks AS SELECT id, domain, size, split, prompt, payload, NULL AS seal FROM main.tasks;
CREATE TEMP VIEW traces AS SELECT
    old.rowid AS row, old.id AS id, task_id, generation, sample_index, policy_id, status, reason,
    CAST(status = 'valid' AS REAL) AS reward,
    CASE WHEN status IN ('unparseable', 'truncated') THEN 'null' ELSE plan END AS answer,
    CASE WHEN status IN ('unparseable', 'truncated') THEN '{{}}' ELSE facts_of_plan(
        plan_length, strict, failed_step, cost, json_extract(payload, '$.reference_cost')) END AS facts,
    validator, 1 AS calls, tokens, reasoning_tokens, sum_of(logprobs) AS logprob, digest_of(token_ids) AS digest,
    sampling, source, NULL AS seal
    FROM main.{old} AS old JOIN main.tasks ON main.tasks.id = task_id;
CREATE TEMP VIEW calls AS SELECT
    id AS trace_id, 0 AS number, text, finish_reason, reasoning_tokens, prompt_token_ids, token_ids, logprobs,
    NULL AS seal
    FROM main.{old};
CREATE TEMP TABLE feedback (row, id, trace_id, user, judgement, correction, metrics, comment, at, consent, seal);
"""


def create(sql: Database) -> None:
    """The tables of an empty store. Inside a transaction of the caller's."""
    sql.define(f"{OWN} {TRACES} CREATE TABLE measurements {MEASUREMENTS}")
    sql.execute("INSERT INTO meta VALUES ('schema', ?)", [str(VERSION)])


def show_as_current(sql: Sqlite, version: int) -> None:
    """Lets a connection read a store of an earlier version as if it were current. Nothing is written into the file."""
    if version == 1:
        _show_1(sql, "traces")
    else:
        for table in UNSEALED[version]:
            sql.execute(f"CREATE TEMP VIEW {table} AS SELECT *, NULL AS seal FROM main.{table}")
    if version < 3:
        sql.execute(f"CREATE TEMP TABLE measurements {MEASUREMENTS.replace('REFERENCES tasks (id)', '')}")


def migrate(sql: Sqlite, version: int) -> None:
    """Brings a store of an earlier version forward. Inside a transaction of the caller's."""
    if version == 1:
        _migrate_1(sql)
    for table in UNSEALED[version]:
        sql.execute(f"ALTER TABLE main.{table} ADD COLUMN seal TEXT")
    if version < 3:
        sql.execute(f"CREATE TABLE measurements {MEASUREMENTS}")
    sql.execute("UPDATE meta SET value = ? WHERE key = 'schema'", [str(VERSION)])


def _show_1(sql: Sqlite, old: str) -> None:
    sql.create_function("facts_of_plan", 5, _facts_of_plan, deterministic=True)
    sql.create_function("sum_of", 1, _sum_of, deterministic=True)
    sql.create_function("digest_of", 1, lambda blob: tokens_digest([unpack("I", blob)]), deterministic=True)
    sql.define(VIEWS_OF_1.format(old=old))


def _migrate_1(sql: Sqlite) -> None:
    sql.execute("DROP INDEX main.traces_by_generation")
    sql.execute("ALTER TABLE main.traces RENAME TO traces_of_1")
    sql.define(TRACES)
    _show_1(sql, "traces_of_1")
    for table in ("traces", "calls"):
        columns = ", ".join(row[1] for row in sql.execute(f"PRAGMA main.table_info({table})"))
        sql.execute(f"INSERT INTO main.{table} ({columns}) SELECT {columns} FROM temp.{table}")
    for table in ("traces", "calls", "tasks"):
        sql.execute(f"DROP VIEW temp.{table}")
    sql.execute("DROP TABLE temp.feedback")
    sql.execute("DROP TABLE main.traces_of_1")


def _facts_of_plan(
    length: int, strict: int, failed_step: int | None, cost: float | None, reference_cost: str | None
) -> str:
    facts: dict[str, float] = {"plan_length": float(length), "strict": float(strict)}
    if failed_step is not None:
        facts["failed_step"] = float(failed_step)
    if cost is not None:
        facts["cost"] = cost
        if reference_cost:
            facts["cost_ratio"] = cost / float(reference_cost)
    return json.dumps(facts)


def _sum_of(blob: bytes | None) -> float | None:
    return None if blob is None else math.fsum(unpack("f", blob))
