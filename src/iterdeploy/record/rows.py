"""Rows of the store's tables as records, and records as rows.

Every row has a seal, the digest of its other columns, which is checked when the row is read: what was changed in the
file since it was written is an error, never an answer. Rows that version 0.1.0 wrote have none.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from hashlib import sha256
from typing import overload

from zstandard import ZstdError

from iterdeploy.record.blobs import pack, unpack
from iterdeploy.record.database import Database, Row
from iterdeploy.record.sqlite import damaged
from iterdeploy.types import Completion, Feedback, Sampling, Split, Status, Task, Totals, Trace, Verdict

TRACE_COLUMNS = """
    traces.id AS id, task_id, tasks.domain AS domain, tasks.size AS size, tasks.split AS split, generation,
    sample_index, policy_id, sampling, calls, tokens, reasoning_tokens, logprob, digest, status, reason, reward, answer,
    facts, validator, source, traces.seal AS seal
    FROM traces JOIN tasks ON tasks.id = task_id
"""


def seal(row: Mapping[str, object] | Row) -> str:
    """Of all columns of the row but its number and its seal. SQLite may give a whole number back as a float."""
    names = set(row.keys()) - {"row", "seal"}
    values = {name: _plain(row[name]) for name in names}
    return sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:16]


def _plain(value: object) -> object:
    if isinstance(value, bytes):
        return value.hex()
    return float(value) if isinstance(value, int | float) else value


def sealed(row: Mapping[str, object]) -> dict[str, object]:
    return {**row, "seal": seal(row)}


def inserting(table: str, row: Mapping[str, object]) -> str:
    """The statement that writes such a row; a column may be called as a word of SQL."""
    columns = ", ".join(f'"{name}"' for name in row)
    return f"INSERT INTO {table} ({columns}) VALUES ({', '.join('?' * len(row))})"


@contextmanager
def whole(row: Row) -> Iterator[None]:
    """Around the reading of a row. StoreError if it is not as it was written."""
    if row["seal"] is not None and row["seal"] != seal(row):
        raise damaged(f"a row does not fit its seal: {row[0]}")
    try:
        yield
    except (ValueError, KeyError, TypeError, ZstdError) as error:  # in one without a seal
        raise damaged(f"a row cannot be read: {row[0]}, {error}") from None


class StoredCalls(Sequence[Completion]):
    """The calls of a trace: read from the store whenever they are looked into, and never kept."""

    def __init__(self, sql: Database, trace_id: str, count: int) -> None:
        self._sql = sql
        self._trace_id = trace_id
        self._count = count

    def __len__(self) -> int:
        return self._count

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and tuple(self) == tuple(other)

    def __iter__(self) -> Iterator[Completion]:
        query = "SELECT * FROM calls WHERE trace_id = ? ORDER BY number"
        calls = list(map(completion_of, self._sql.execute(query, [self._trace_id])))
        if len(calls) != self._count:
            raise damaged(f"the answer {self._trace_id} has {len(calls)} of its {self._count} calls")
        return iter(calls)

    @overload
    def __getitem__(self, index: int) -> Completion: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Completion, ...]: ...
    def __getitem__(self, index: int | slice) -> Completion | tuple[Completion, ...]:
        return tuple(self)[index]


def trace_of(row: Row, sql: Database) -> Trace:
    """A light trace: its calls are read through the connection when they are looked into."""
    with whole(row):
        return Trace(
            id=row["id"],
            task_id=row["task_id"],
            domain=row["domain"],
            size=row["size"],
            split=Split(row["split"]),
            generation=row["generation"],
            sample_index=row["sample_index"],
            policy_id=row["policy_id"],
            sampling=Sampling(**json.loads(row["sampling"])),
            completions=StoredCalls(sql, row["id"], row["calls"]),
            totals=Totals(row["calls"], row["tokens"], row["reasoning_tokens"], row["logprob"], row["digest"]),
            verdict=Verdict(
                status=Status(row["status"]),
                reason=row["reason"],
                reward=row["reward"],
                answer=json.loads(row["answer"]),
                facts=json.loads(row["facts"]),
                validator=row["validator"],
            ),
            source=row["source"],
        )


def task_row(task: Task) -> dict[str, object]:
    row: dict[str, object] = {
        "id": task.id,
        "domain": task.domain,
        "size": task.size,
        "split": task.split,
        "prompt": task.prompt,
        "payload": json.dumps(dict(task.payload)),
    }
    return sealed(row)


def task_of(row: Row) -> Task:
    with whole(row):
        return Task(
            id=row["id"],
            domain=row["domain"],
            size=row["size"],
            split=Split(row["split"]),
            prompt=row["prompt"],
            payload=json.loads(row["payload"]),
        )


def judged_columns(trace: Trace) -> dict[str, object]:
    """What is stored alike of every answer: what was asked, who answered, and the verdict."""
    verdict = trace.verdict
    return {
        "task_id": trace.task_id,
        "generation": trace.generation,
        "sample_index": trace.sample_index,
        "policy_id": trace.policy_id,
        "status": verdict.status,
        "reason": verdict.reason,
        "reward": verdict.reward,
        "answer": json.dumps(verdict.answer),
        "facts": json.dumps(dict(verdict.facts)),
    }


def trace_row(trace: Trace) -> dict[str, object]:
    """Its seal is over what is read of a trace, so over what the task's row says of it as well."""
    row: dict[str, object] = {
        "id": trace.id,
        **judged_columns(trace),
        "validator": trace.verdict.validator,
        **asdict(trace.totals),
        "sampling": json.dumps(asdict(trace.sampling)),
        "source": trace.source,
    }
    return {**row, "seal": seal({**row, "domain": trace.domain, "size": trace.size, "split": trace.split})}


def call_row(trace_id: str, number: int, completion: Completion) -> dict[str, object]:
    row: dict[str, object] = {
        "trace_id": trace_id,
        "number": number,
        "text": completion.text,
        "finish_reason": completion.finish_reason,
        "reasoning_tokens": completion.reasoning_tokens,
        "prompt_token_ids": pack("I", completion.prompt_token_ids),
        "token_ids": pack("I", completion.token_ids),
        "logprobs": None if completion.logprobs is None else pack("f", completion.logprobs),
    }
    return sealed(row)


def completion_of(row: Row) -> Completion:
    with whole(row):
        return Completion(
            text=row["text"],
            prompt_token_ids=unpack("I", row["prompt_token_ids"]),
            token_ids=unpack("I", row["token_ids"]),
            logprobs=None if row["logprobs"] is None else unpack("f", row["logprobs"]),
            finish_reason=row["finish_reason"],
            reasoning_tokens=row["reasoning_tokens"],
        )


def feedback_row(said: Feedback) -> dict[str, object]:
    return sealed({**asdict(said), "metrics": json.dumps(dict(said.metrics))})


def feedback_of(row: Row) -> Feedback:
    with whole(row):
        fields = {name: row[name] for name in row.keys() if name != "seal"}  # noqa: SIM118 - a Row iterates values
        return Feedback(**{**fields, "metrics": json.loads(row["metrics"])})
