"""Whether the answers collapse: distinct plans, entropy, copies of the pool, tasks lost, distance from generation 0.

Pure functions over traces. The measures and their formulas are the fields of `types.Diversity` and `types.Drift`.
Logarithms are natural. Answers to one task are not independent, so every standard error takes a task as one cluster.
"""

import json
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from statistics import fmean

from iterdeploy.metrics.records import Diversity, Drift, Estimate, Nats, Outcome
from iterdeploy.types import Trace

NOTHING = Nats(Estimate(0.0, 0.0), Estimate(0.0, 0.0))


@dataclass(frozen=True, slots=True)
class Amount:
    """Something about one answer that adds up over its tokens."""

    task_id: str
    nats: float
    tokens: int


@dataclass(frozen=True, slots=True)
class History:
    """The samples of one task, this generation's and the earlier ones'."""

    samples: int
    """Samples of this generation."""
    valid: int
    """Valid samples of this generation."""
    distinct: int
    """Distinct valid plans of this generation."""
    distinct_so_far: int
    """Distinct valid plans of all generations up to this one."""
    older: bool
    """An earlier generation was asked as well."""
    solved_before: bool


def diversity(answers: Sequence[Trace], outcomes: Iterable[Outcome], pool: Iterable[Trace]) -> Diversity | None:
    """How varied the answers of one generation to the tasks of one split are; None without answers.

    `outcomes`: of all samples of that split up to this generation, task by task. `pool`: what trained this generation.
    """
    if not answers:
        return None
    tasks = list(histories(outcomes, answers[0].generation))
    older = [task for task in tasks if task.older]
    before = [task for task in tasks if task.solved_before]
    valid = sum(task.valid for task in tasks)
    surprise = surprisal(answers)
    untempered = all(one.sampling.temperature == 1 for one in answers)
    identical, repeated = _copies(answers, pool)
    return Diversity(
        samples_per_task=max(task.samples for task in tasks),
        distinct_plans=_mean([task.distinct for task in tasks if task.valid]),
        distinct_plans_so_far=_mean([task.distinct_so_far for task in tasks if task.distinct_so_far]),
        distinct_per_valid=sum(task.distinct for task in tasks) / valid if valid else None,
        entropy=surprise if untempered else None,
        cross_entropy=None if untempered else surprise,
        identical_to_pool=identical,
        valid_plans_from_pool=repeated,
        ever_solved=fmean(task.distinct_so_far > 0 for task in tasks),
        solved_before=len(before) if older else None,
        lost=_mean([not task.valid for task in before]),
        coverage_of_solved_before=_mean([task.valid / task.samples for task in before]),
    )


def histories(outcomes: Iterable[Outcome], generation: int) -> Iterator[History]:
    """Of every task that `generation` was asked. The outcomes come task by task; only one task's are held."""
    for _, group in groupby(outcomes, key=lambda one: one.task_id):
        before: list[str | None] = []
        now: list[str | None] = []
        for one in group:
            (now if one.generation == generation else before).append(one.plan)
        if now:
            valid = [plan for plan in now if plan is not None]
            valid_before = {plan for plan in before if plan is not None}
            yield History(
                samples=len(now),
                valid=len(valid),
                distinct=len(set(valid)),
                distinct_so_far=len(valid_before.union(valid)),
                older=bool(before),
                solved_before=bool(valid_before),
            )


def surprisal(answers: Sequence[Trace]) -> Nats | None:
    """-mean log p of what was sampled; None where the sampler recorded no log-probabilities."""
    amounts = []
    for trace in answers:
        if not trace.totals.tokens:
            continue  # the server had no answer
        if trace.totals.logprob is None:
            return None
        amounts.append(Amount(trace.task_id, -trace.totals.logprob, trace.totals.tokens))
    return nats(amounts) if amounts else None


def drift(first: Sequence[Trace], own: Sequence[Trace], asked: Mapping[str, Sequence[float]]) -> Drift:
    """How far the policy that gave the answers `own` is from the one that gave `first`, some of generation 0's.

    All have log-probabilities. `asked`: trace id -> log p of its tokens under the policy, as asked now. Generation 0 is
    at distance 0 from itself, by definition.
    """
    moved = NOTHING
    if own[0].generation:
        moved = nats(
            Amount(one.task_id, math.fsum(_recorded(one)) - math.fsum(asked[one.id]), len(asked[one.id]))
            for one in first
        )
    untempered = all(one.sampling.temperature == 1 for one in first)
    gaps = [
        abs(then - now) for one in own for then, now in zip(_recorded(one), asked[one.id], strict=True)
    ]  # one a token
    return Drift(
        answers=len(first),
        dtype=own[0].sampling.dtype,
        kl=moved if untempered else None,
        log_ratio=None if untempered else moved,
        logprob_gap=math.fsum(gaps) / len(gaps),
    )


def nats(amounts: Iterable[Amount]) -> Nats:
    """The mean per token and the mean per answer.

    >>> nats([Amount("a", 3.0, 2), Amount("b", 1.0, 6)])
    Nats(per_token=Estimate(value=0.5, error=0.5), per_answer=Estimate(value=2.0, error=1.0))
    """
    totals: dict[str, list[Amount]] = defaultdict(list)
    for one in amounts:
        totals[one.task_id].append(one)
    sums = [(math.fsum(one.nats for one in group), group) for group in totals.values()]
    return Nats(
        per_token=ratio([(total, sum(one.tokens for one in group)) for total, group in sums]),
        per_answer=ratio([(total, len(group)) for total, group in sums]),
    )


def ratio(clusters: Sequence[tuple[float, int]]) -> Estimate:
    """r = sum a_c / sum b_c over clusters c = 1 ... C with the totals (a_c, b_c).

    Its standard error is that of a ratio of totals (Cochran, Sampling Techniques, 1977, chapter 6):
    sqrt(C / (C - 1) * sum (a_c - r b_c)^2) / sum b_c. Where all b_c are equal, that of the mean of a_c / b_c.
    """
    count, whole = len(clusters), sum(b for _, b in clusters)
    value = math.fsum(a for a, _ in clusters) / whole
    if count == 1:
        return Estimate(value, None)
    squares = math.fsum((a - value * b) ** 2 for a, b in clusters)
    return Estimate(value, math.sqrt(count / (count - 1) * squares) / whole)


def _copies(answers: Sequence[Trace], pool: Iterable[Trace]) -> tuple[float | None, float | None]:
    """Share of the answers whose tokens, share of the valid ones whose plan the pool has for the same task."""
    asked = {one.task_id for one in answers}
    known = [(_content(trace), _answer(trace)) for trace in pool if trace.task_id in asked]
    if not known:
        return None, None
    contents, plans = ({pair[part] for pair in known} for part in (0, 1))
    return (
        fmean(_content(trace) in contents for trace in answers),
        _mean([_answer(trace) in plans for trace in answers if trace.valid]),
    )


def _content(trace: Trace) -> tuple[str, str]:
    return trace.task_id, trace.totals.digest


def _answer(trace: Trace) -> tuple[str, str]:
    """Task and answer; where nothing was read from it, its content."""
    answer = trace.verdict.answer
    return trace.task_id, trace.totals.digest if answer is None else json.dumps(answer)


def _recorded(trace: Trace) -> list[float]:
    return [value for call in trace.completions for value in call.logprobs or ()]


def _mean(values: Sequence[float]) -> float | None:
    return fmean(values) if values else None
