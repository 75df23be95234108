"""Rows of the store's tables as records, and records as rows."""

import json
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import overload

from iterdeploy.record.blobs import pack, unpack
from iterdeploy.types import Completion, Sampling, Split, Status, Task, Totals, Trace, Verdict

TRACE_COLUMNS = """
    traces.id AS id, task_id, tasks.domain AS domain, tasks.size AS size, tasks.split AS split, generation,
    sample_index, policy_id, sampling, calls, tokens, reasoning_tokens, logprob, digest, status, reason, reward, answer,
    facts, validator, source
    FROM traces JOIN tasks ON tasks.id = task_id
"""


class StoredCalls(Sequence[Completion]):
    """The calls of a trace: read from the store whenever they are looked into, and never kept."""

    def __init__(self, sql: sqlite3.Connection, trace_id: str, count: int) -> None:
        self._sql = sql
        self._trace_id = trace_id
        self._count = count

    def __len__(self) -> int:
        return self._count

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and tuple(self) == tuple(other)

    def __iter__(self) -> Iterator[Completion]:
        query = "SELECT * FROM calls WHERE trace_id = ? ORDER BY number"
        return map(completion_of, self._sql.execute(query, [self._trace_id]))

    @overload
    def __getitem__(self, index: int) -> Completion: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Completion, ...]: ...
    def __getitem__(self, index: int | slice) -> Completion | tuple[Completion, ...]:
        return tuple(self)[index]


def trace_of(row: sqlite3.Row, sql: sqlite3.Connection) -> Trace:
    """A light trace: its calls are read through the connection when they are looked into."""
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
    return {
        "id": task.id,
        "domain": task.domain,
        "size": task.size,
        "split": task.split,
        "prompt": task.prompt,
        "payload": json.dumps(dict(task.payload)),
    }


def task_of(row: sqlite3.Row) -> Task:
    return Task(row["id"], row["domain"], row["size"], Split(row["split"]), row["prompt"], json.loads(row["payload"]))


def trace_row(trace: Trace) -> dict[str, object]:
    verdict = trace.verdict
    return {
        "id": trace.id,
        "task_id": trace.task_id,
        "generation": trace.generation,
        "sample_index": trace.sample_index,
        "policy_id": trace.policy_id,
        "status": verdict.status,
        "reason": verdict.reason,
        "reward": verdict.reward,
        "answer": json.dumps(verdict.answer),
        "facts": json.dumps(dict(verdict.facts)),
        "validator": verdict.validator,
        **asdict(trace.totals),
        "sampling": json.dumps(asdict(trace.sampling)),
        "source": trace.source,
    }


def call_row(trace_id: str, number: int, completion: Completion) -> dict[str, object]:
    return {
        "trace_id": trace_id,
        "number": number,
        "text": completion.text,
        "finish_reason": completion.finish_reason,
        "reasoning_tokens": completion.reasoning_tokens,
        "prompt_token_ids": pack("I", completion.prompt_token_ids),
        "token_ids": pack("I", completion.token_ids),
        "logprobs": None if completion.logprobs is None else pack("f", completion.logprobs),
    }


def completion_of(row: sqlite3.Row) -> Completion:
    return Completion(
        text=row["text"],
        prompt_token_ids=unpack("I", row["prompt_token_ids"]),
        token_ids=unpack("I", row["token_ids"]),
        logprobs=None if row["logprobs"] is None else unpack("f", row["logprobs"]),
        finish_reason=row["finish_reason"],
        reasoning_tokens=row["reasoning_tokens"],
    )
