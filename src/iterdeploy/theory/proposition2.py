"""Proposition 2: SFT on traces of earlier generations is REINFORCE with weights. The weights, and what they repair.

Every valid trace of every generation so far on the tasks looked at is scored under every policy so far. With
w = sum_i n_i beta_i / pi, the sum of grad log pi over these traces is on average that of an on-policy sample in which
each valid answer counts w; so traces that count 1 / w give REINFORCE back. docs/theory.md has the derivation.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import asdict
from statistics import fmean
from typing import TYPE_CHECKING, Any

from iterdeploy.models.scoring import policy_logprobs, summed
from iterdeploy.theory.answers import REFERENCE, Answer, Subject
from iterdeploy.theory.gradients import compare, differentiable, sums
from iterdeploy.theory.proposition1 import expected, reward
from iterdeploy.theory.weights import effective_size, in_pool, log_mixture_weights, normalised

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Array = npt.NDArray[np.float64]


def measure(subject: Subject) -> dict[str, Any] | None:
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
    chosen = np.array([float(answer.trace_id in curated["weights"]) for answer in pool])
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
    reference = expected(at, fresh)
    found = dict(zip(kinds, sums(at, pool, list(kinds.values())), strict=True))
    return {
        "tasks": tasks,
        "traces": len(pool),
        "rows": {
            kind: {
                "traces": int(np.count_nonzero(kinds[kind])),
                **asdict(compare(gradient, reference, halves=subject.two_halves and not kind.startswith("best"))),
            }
            for kind, gradient in found.items()
        },
        "effective_size": {"mixture": effective_size(log_weights), "own_policy": effective_size(own)},
        "largest_share": {
            "mixture": float(normalised(log_weights).max()),
            "own_policy": float(normalised(own).max()),
        },
        "solve_rate": {"fresh": fmean(reward(fresh)), "by_weights": float(weights.sum()) / tasks},
        "by_generation": _by_generation(pool, weights),
        "gap": recorded_gap(subject, pool, behaviour),
        "sizes": list(strata.values()),
        "per_task": _per_task(subject, stored, pool, weights),
    }


def scores(subject: Subject, answers: Sequence[Answer]) -> "tuple[Array, Array]":
    """(log beta_i of each answer for every generation i as it sampled, (answers, generations); log pi, (answers,))."""
    import numpy as np

    rows, config = [(answer.prompt, answer.tokens) for answer in answers], subject.config
    columns = []
    for generation in range(subject.generation + 1):
        subject.say(f"scoring {len(rows)} valid traces under generation {generation}")
        policy, temperature = subject.policy(generation), config.sampling.temperature
        columns.append(summed(policy_logprobs(policy, rows, config, temperature=temperature)))
    return np.stack(columns, axis=1), summed(policy_logprobs(subject.current, rows, config, "float32"))


def sample_counts(subject: Subject, stored: Sequence[Answer]) -> dict[str, list[int]]:
    """Task id -> samples in each generation."""
    counts = Counter((answer.task_id, answer.generation) for answer in stored)
    return {task_id: [counts[task_id, i] for i in range(subject.generation + 1)] for task_id in subject.tasks}


def by_size(subject: Subject, stored: Sequence[Answer], fresh: Sequence[Answer]) -> dict[str, dict[str, Any]]:
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
        out[name] = {
            "name": name,
            "tasks": len(members),
            "rates": rates,
            "z_pi": z_pi,
            "z_beta": z_beta,
            "correction": z_pi / z_beta if z_beta else None,
            "samples": sum(counts),
            "in_pool": len(solved) / len(members),
            "in_pool_expected": in_pool(rates, [round(count) for count in counts]),
            "task_weight": len(solved) / len(members) / z_pi if z_pi else None,
            "inverse_rate": 1 / z_pi if z_pi else None,
        }
    return out


def _rate(answers: Sequence[Answer]) -> float:
    return fmean(answer.valid for answer in answers) if answers else 0.0


def _left_out(stratum: dict[str, Any]) -> float:
    """(expected valid traces of a task) / Z_pi: what weights over normalised distributions of valid traces lack."""
    correction: float | None = stratum["correction"]
    return float(stratum["samples"]) / correction if correction else float(stratum["samples"])


def _by_generation(pool: Sequence[Answer], weights: "Array") -> list[dict[str, float]]:
    """Traces of each generation in the pool, with their share of the sum of 1 / w."""
    out = []
    for generation in sorted({answer.generation for answer in pool}):
        chosen = [j for j, answer in enumerate(pool) if answer.generation == generation]
        share = float(weights[chosen].sum() / weights.sum())
        out.append({"generation": generation, "traces": len(chosen), "share_of_weight": share})
    return out


def recorded_gap(subject: Subject, pool: Sequence[Answer], behaviour: "Array") -> float | None:
    """Largest difference in nats between a trace's log-probability when it was sampled and as scored now.

    None at a temperature other than 1, where what was recorded is not what sampled.
    """
    if subject.config.sampling.temperature != 1:
        return None
    recorded = {trace.id: trace.totals.logprob or 0.0 for trace in subject.traces}
    return float(max(abs(recorded[one.trace_id] - behaviour[j, one.generation]) for j, one in enumerate(pool)))


def _per_task(
    subject: Subject, stored: Sequence[Answer], pool: Sequence[Answer], weights: "Array"
) -> list[dict[str, Any]]:
    """Of each task its solve rate in each generation, and the current one as the weights of its traces tell it."""
    told: dict[str, float] = defaultdict(float)
    for answer, weight in zip(pool, weights.tolist(), strict=True):
        told[answer.task_id] += weight
    of_task: dict[str, list[Answer]] = defaultdict(list)
    for answer in stored:
        of_task[answer.task_id].append(answer)
    generations = range(subject.generation + 1)
    return [
        {
            "task_id": task_id,
            "size": task.size,
            "rates": [_rate([one for one in of_task[task_id] if one.generation == i]) for i in generations],
            "rate_by_weights": told[task_id],
        }
        for task_id, task in subject.tasks.items()
    ]
