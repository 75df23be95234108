"""What the report counts in the store, in SQL: what the model wrote is never read."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

from iterdeploy.metrics.results import TaskResult
from iterdeploy.record.store import TraceStore

_LENGTH = "CASE WHEN status = 'valid' THEN json_extract(facts, '$.plan_length') END"
_ANSWERS = """
    SELECT generation, split, domain, count(*) AS answers, sum(tokens) AS tokens,
        avg(CASE WHEN status = 'valid' THEN json_extract(facts, '$.cost_ratio') END) AS cost_ratio
    FROM traces JOIN tasks ON tasks.id = task_id WHERE generation < ? GROUP BY generation, split, domain
"""
_LENGTHS = f"""
    SELECT generation, split, domain, {_LENGTH} AS length, count(*)
    FROM traces JOIN tasks ON tasks.id = task_id WHERE generation < ? AND {_LENGTH} IS NOT NULL
    GROUP BY generation, split, domain, length ORDER BY length
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
    measured: Sequence[TaskResult]
    """How held-out tasks went that were asked only to measure, at other temperatures."""

    @property
    def results(self) -> list[TaskResult]:
        """Results of all tasks, in the loop and outside it."""
        return [*chain.from_iterable(self.tasks.values()), *self.measured]

    @property
    def domains(self) -> list[str]:
        return sorted({one.domain for one in self.answers})

    @property
    def measured_split(self) -> str:
        """The split that tells what the model can do: held-out where there are such tasks."""
        return "held_out" if any(one.split == "held_out" for one in self.answers) else "deployed"


def count(store: TraceStore, generations: int) -> Counts:
    """Counts the traces of the first `generations` generations."""
    limit = [generations]
    tasks: dict[tuple[int, str], list[TaskResult]] = {}
    measured = []
    for result in store.results(generations):
        if result.temperature is None:
            tasks.setdefault((result.generation, result.split), []).append(result)
        else:
            measured.append(result)
    answers = [Answers(*row) for row in store.rows(_ANSWERS, limit)]
    lengths: dict[tuple[int, str, str], dict[int, int]] = {}
    for generation, split, domain, length, plans in store.rows(_LENGTHS, limit):
        lengths.setdefault((generation, split, domain), {})[int(length)] = plans
    failures: dict[int, Counter[Failure]] = {}
    for generation, status, reason, times in store.rows(_REASONS, limit):
        failures.setdefault(generation, Counter())[Failure(status, kind(reason))] += times
    return Counts(tasks, answers, lengths, failures, measured)


def mean_length(lengths: Mapping[int, int]) -> float | None:
    """Of plans, given how many have each length; None without any."""
    plans = sum(lengths.values())
    return sum(length * count for length, count in lengths.items()) / plans if plans else None


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
