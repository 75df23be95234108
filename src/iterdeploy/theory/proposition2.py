"""Proposition 2: SFT on traces of earlier generations is REINFORCE with weights. The weights, and what they repair.

Every valid trace of every generation so far on the tasks looked at is scored under every policy so far. With
w = sum_i n_i beta_i / pi, the sum of grad log pi over these traces is on average that of an on-policy sample in which
each valid answer counts w; so traces that count 1 / w give REINFORCE back. docs/theory.md has the derivation.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from statistics import fmean
from typing import TYPE_CHECKING

from iterdeploy.curation.policies import weigh
from iterdeploy.metrics.diversity import ratio
from iterdeploy.metrics.records import Estimate
from iterdeploy.models.scoring import policy_logprobs, summed
from iterdeploy.theory.answers import REFERENCE, Answer, Subject
from iterdeploy.theory.gradients import compare, differentiable, sums
from iterdeploy.theory.proposition1 import expected, reward
from iterdeploy.theory.records import Condition, Mixture, OfTask, Origin, Stratum
from iterdeploy.theory.weights import effective_size, in_pool, log_mixture_weights, normalised

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Array = npt.NDArray[np.float64]


def measure(subject: Subject) -> Mixture | None:
    """None for generation 0, whose pool has nothing old in it, and where there is no valid trace."""
    import numpy as np

    stored = subject.stored()
    pool = [answer for answer in stored if answer.valid]
    if subject.generation == 0 or not pool:
        return None
    fresh = subject.fresh(subject.current, REFERENCE)
    samples = sample_counts(subject, stored)
    behaviour, current = scores(subject, pool)
    per_trace = np.array([samples[answer.task_id] for answer in pool], dtype=float)
    log_weights = -log_mixture_weights(behaviour, per_trace, current)
    own = current - behaviour[np.arange(len(pool)), [answer.generation for answer in pool]]
    strata = by_size(subject, stored, fresh)
    curated = subject.run_dir.pool(subject.generation)
    assert curated is not None
    chosen = np.array([float(answer.trace_id in curated.weights) for answer in pool])
    weights, tasks = np.exp(log_weights), len(subject.tasks)
    unnormalised = np.array([_left_out(strata[subject.stratum(answer.task_id)]) for answer in pool])
    kinds = {
        "unweighted": np.ones(len(pool)) / len(pool),
        "mixture": weights / tasks,
        "own_policy": np.exp(own) / len(stored),
        "no_normalisers": weights * unnormalised / tasks,
        "best_unweighted": chosen / max(1, chosen.sum()),
        "best_weighted": chosen * weights / tasks,
    }
    at = differentiable(subject, subject.current)
    subject.say(f"gradients of {len(pool)} valid traces of generations 0 to {subject.generation}")
    reference = expected(at, fresh, subject.temperature)
    found = dict(zip(kinds, sums(at, pool, list(kinds.values())), strict=True))
    return Mixture(
        tasks=tasks,
        traces=len(pool),
        rows={
            kind: Condition(
                int(np.count_nonzero(kinds[kind])),
                compare(gradient, reference, halves=subject.two_halves and not kind.startswith("best")),
            )
            for kind, gradient in found.items()
        },
        effective_size={"mixture": effective_size(log_weights), "own_policy": effective_size(own)},
        largest_share={"mixture": float(normalised(log_weights).max()), "own_policy": float(normalised(own).max())},
        solve_rate_fresh=fmean(reward(fresh)),
        solve_rate_by_weights=float(weights.sum()) / tasks,
        by_generation=_by_generation(pool, weights),
        gap=recorded_gap(subject, pool, behaviour),
        sizes=list(strata.values()),
        per_task=_per_task(subject, stored, pool, weights),
        tied=tied(subject),
        favoured=favoured(subject, pool, own.tolist()),
    )


def tied(subject: Subject) -> float:
    """Ties are broken by age: the older one of two equally good answers trains."""
    of_task: dict[str, list[tuple[tuple[float, ...], tuple[int, ...]]]] = defaultdict(list)
    for weighed in weigh([trace for trace in subject.traces if trace.valid], subject.parts.tasks.order):
        of_task[weighed.trace.task_id].append((weighed.rank, subject.answer(weighed.trace).tokens))
    best = [[tokens for rank, tokens in answers if rank == min(answers)[0]] for answers in of_task.values()]
    return fmean(len(set(tokens)) > 1 for tokens in best)


def favoured(subject: Subject, pool: Sequence[Answer], log_ratios: Sequence[float]) -> Estimate | None:
    """Whether training on a trace made it likelier than valid traces of the same task that did not train."""
    trained_on = subject.trained_on
    of_task: dict[str, dict[bool, list[tuple[Answer, float]]]] = defaultdict(lambda: {True: [], False: []})
    for answer, value in zip(pool, log_ratios, strict=True):
        of_task[answer.task_id][answer.trace_id in trained_on].append((answer, value))
    gaps = []
    for of in of_task.values():
        known = {answer.tokens for answer, _ in of[True]}
        others = [value for answer, value in of[False] if answer.tokens not in known]
        if of[True] and others:
            gaps.append(fmean(value for _, value in of[True]) - fmean(others))
    return ratio([(gap, 1) for gap in gaps]) if gaps else None


def scores(subject: Subject, answers: Sequence[Answer]) -> "tuple[Array, Array]":
    """(log beta_i of each answer for every generation i as it sampled, (answers, generations); log pi, (answers,))."""
    import numpy as np

    rows, config = [(answer.prompt, answer.tokens) for answer in answers], subject.config
    columns = []
    for generation in range(subject.generation + 1):
        subject.say(f"scoring {len(rows)} valid traces under generation {generation}")
        policy = subject.policy(generation)
        columns.append(summed(policy_logprobs(policy, rows, config, temperature=subject.temperature)))
    current = policy_logprobs(subject.current, rows, config, "float32", subject.temperature)
    return np.stack(columns, axis=1), summed(current)


def sample_counts(subject: Subject, stored: Sequence[Answer]) -> dict[str, list[int]]:
    """Task id -> samples in each generation."""
    counts = Counter((answer.task_id, answer.generation) for answer in stored)
    return {task_id: [counts[task_id, i] for i in range(subject.generation + 1)] for task_id in subject.tasks}


def by_size(subject: Subject, stored: Sequence[Answer], fresh: Sequence[Answer]) -> dict[str, Stratum]:
    """Domain and size -> solve rates and what follows from them: two samples of one task alone say little."""
    groups: dict[str, list[str]] = defaultdict(list)
    for task_id in sorted(subject.tasks, key=lambda one: (subject.tasks[one].domain, subject.tasks[one].size)):
        groups[subject.stratum(task_id)].append(task_id)
    out = {}
    for name, members in groups.items():
        of_stratum = [answer for answer in stored if answer.task_id in members]
        rates = [_rate([one for one in of_stratum if one.generation == i]) for i in range(subject.generation + 1)]
        now = [answer for answer in fresh if answer.task_id in members]
        now += [answer for answer in of_stratum if answer.generation == subject.generation]
        counts = [len([one for one in of_stratum if one.generation == i]) / len(members) for i in range(len(rates))]
        z_pi, z_beta = _rate(now), _rate(of_stratum)
        solved = {answer.task_id for answer in of_stratum if answer.valid}
        out[name] = Stratum(
            name=name,
            tasks=len(members),
            rates=rates,
            z_beta=z_beta,
            z_pi=z_pi,
            correction=z_pi / z_beta if z_beta else None,
            samples=sum(counts),
            in_pool=len(solved) / len(members),
            in_pool_expected=in_pool(rates, [round(count) for count in counts]),
            task_weight=len(solved) / len(members) / z_pi if z_pi else None,
            inverse_rate=1 / z_pi if z_pi else None,
        )
    return out


def _rate(answers: Sequence[Answer]) -> float:
    return fmean(answer.valid for answer in answers) if answers else 0.0


def _left_out(stratum: Stratum) -> float:
    """(expected valid traces of a task) / Z_pi: what weights over normalised distributions of valid traces lack."""
    return stratum.samples / stratum.correction if stratum.correction else stratum.samples


def _by_generation(pool: Sequence[Answer], weights: "Array") -> list[Origin]:
    """Traces of each generation in the pool, with their share of the sum of 1 / w."""
    out = []
    for generation in sorted({answer.generation for answer in pool}):
        chosen = [j for j, answer in enumerate(pool) if answer.generation == generation]
        out.append(Origin(generation, len(chosen), float(weights[chosen].sum() / weights.sum())))
    return out


def recorded_gap(subject: Subject, pool: Sequence[Answer], behaviour: "Array") -> float | None:
    """Largest difference in nats between a trace's log-probability when it was sampled and as scored now.

    None at a temperature other than 1, where what was recorded is not what sampled.
    """
    if subject.temperature != 1:
        return None
    recorded = {trace.id: trace.totals.logprob or 0.0 for trace in subject.traces}
    return float(max(abs(recorded[one.trace_id] - behaviour[j, one.generation]) for j, one in enumerate(pool)))


def _per_task(subject: Subject, stored: Sequence[Answer], pool: Sequence[Answer], weights: "Array") -> list[OfTask]:
    """Of each task its solve rate in each generation, and the current one as the weights of its traces tell it."""
    by_task: dict[str, float] = defaultdict(float)
    for answer, weight in zip(pool, weights.tolist(), strict=True):
        by_task[answer.task_id] += weight
    of_task: dict[str, list[Answer]] = defaultdict(list)
    for answer in stored:
        of_task[answer.task_id].append(answer)
    generations = range(subject.generation + 1)
    return [
        OfTask(
            task_id,
            task.size,
            [_rate([one for one in of_task[task_id] if one.generation == i]) for i in generations],
            by_task[task_id],
        )
        for task_id, task in subject.tasks.items()
    ]
