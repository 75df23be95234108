"""What the report counts in the store, in SQL over the columns that stand beside the blobs: nothing is unpacked."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from iterdeploy.metrics.results import TaskResult
from iterdeploy.record import sqlite
from iterdeploy.record.store import TraceStore

_ANSWERS = """
    SELECT generation, split, domain, count(*), sum(tokens), avg(reasoning_tokens),
        avg(CASE WHEN status = 'valid' THEN plan_length END), max(CASE WHEN status = 'valid' THEN plan_length END),
        avg(CASE WHEN status = 'valid' THEN cost / json_extract(payload, '$.reference_cost') END)
    FROM traces JOIN tasks ON tasks.id = task_id WHERE generation < ? GROUP BY generation, split, domain
"""
_LENGTHS = """
    SELECT generation, split, domain, plan_length, count(*)
    FROM traces JOIN tasks ON tasks.id = task_id WHERE generation < ? AND status = 'valid'
    GROUP BY generation, split, domain, plan_length ORDER BY plan_length
"""
_REASONS = """
    SELECT generation, status, reason, count(*)
    FROM traces WHERE generation < ? AND status != 'valid' GROUP BY generation, status, reason
"""
_PATTERNS = [
    (r"goal not reached: .*", "goal not reached"),
    (r"^(step|line) \d+", r"\1"),
    (r"\((\S+)( [^()]*)\)", r"(\1 …)"),
    (r"^step \(.*?\): there is no action .*", "step (…): there is no action of that name"),
    (r"(?<=: )\S+(?= is not an object)", "…"),
    (r"(['\"]).*\1", "…"),
    (r", \d+ more\b", ""),
    (r"\b\d+(\.\d+)?\b", "…"),
]


@dataclass(frozen=True, slots=True)
class Answers:
    """What one generation wrote for the tasks of one split and domain."""

    generation: int
    split: str
    domain: str
    answers: int
    tokens: int
    reasoning_tokens: float
    """Mean over all answers."""
    mean_plan: float | None
    """Mean length of the valid plans, in steps; None without any."""
    longest_plan: int | None
    cost_ratio: float | None
    """Mean cost of the valid plans by that of the reference plan; None without references."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A kind of failure: the verdict, and its reason without the names."""

    status: str
    reason: str


@dataclass(frozen=True, slots=True)
class Counts:
    tasks: Mapping[tuple[int, str], Sequence[TaskResult]]
    """(Generation, split) -> how its tasks went."""
    answers: Sequence[Answers]
    lengths: Mapping[tuple[int, str, str], Mapping[int, int]]
    """(Generation, split, domain) -> length of valid plan -> plans."""
    failures: Mapping[int, Mapping[Failure, int]]
    """Generation -> kind of failure -> answers."""

    @property
    def domains(self) -> list[str]:
        return sorted({one.domain for one in self.answers})

    @property
    def measured_split(self) -> str:
        """The split that tells what the model can do: held-out where there are such tasks."""
        return "held_out" if any(one.split == "held_out" for one in self.answers) else "deployed"


def count(store: TraceStore, generations: int) -> Counts:
    """Counts the traces of the first `generations` generations."""
    tasks: dict[tuple[int, str], list[TaskResult]] = {}
    for result in store.results(generations):
        tasks.setdefault((result.generation, result.split), []).append(result)
    sql = sqlite.reader(store.path)
    limit = [generations]
    answers = [Answers(*row) for row in sql.execute(_ANSWERS, limit)]
    lengths: dict[tuple[int, str, str], dict[int, int]] = {}
    for generation, split, domain, length, plans in sql.execute(_LENGTHS, limit):
        lengths.setdefault((generation, split, domain), {})[length] = plans
    failures: dict[int, Counter[Failure]] = {}
    for generation, status, reason, times in sql.execute(_REASONS, limit):
        failures.setdefault(generation, Counter())[Failure(status, kind(reason))] += times
    sql.close()
    return Counts(tasks, answers, lengths, failures)


def kind(reason: str) -> str:
    """The reason with objects, quotations and numbers left out, so that failures of one kind read the same.

    >>> kind("step 3 (pickup b4): precondition (clear b4) does not hold")
    'step (pickup …): precondition (clear …) does not hold'
    >>> kind("goal not reached: (on b6 b16), (on b16 b2), 2 more do not hold")
    'goal not reached'
    """
    short = " ".join(reason.split())
    for pattern, instead in _PATTERNS:
        short = re.sub(pattern, instead, short)
    return short
