"""The propositions, on policies small enough to enumerate."""

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from iterdeploy.theory.answers import GROUPS
from iterdeploy.theory.as_trained import ceiling
from iterdeploy.theory.gradients import (
    compare,
    cosine,
    norm_ratio,
)
from iterdeploy.theory.weights import best_of, effective_size, in_pool, log_mixture_weights, normalised

TASKS, ANSWERS = 3, 4
VALID = np.array([[1, 1, 0, 0], [1, 0, 1, 1], [0, 0, 0, 1]])
"""R(x, y)."""
rng = np.random.default_rng(4)
LOGITS = rng.normal(size=(3, TASKS, ANSWERS))
PI, *BETA = np.exp(LOGITS) / np.exp(LOGITS).sum(axis=2, keepdims=True)
"""pi(y | x) and two behaviour policies, (TASKS, ANSWERS) each."""
SAMPLES = (2, 1)
"""n_i of the behaviour policies."""


def score(x: int, y: int, policy: "np.ndarray[Any, Any]" = PI) -> "np.ndarray[Any, Any]":
    """grad log pi(y | x) of a softmax over answers, with respect to all logits, flat."""
    out = np.zeros((TASKS, ANSWERS))
    out[x] = -policy[x]
    out[x, y] += 1
    return out.ravel()


def expectation(weight: Callable[[int, int], float]) -> "np.ndarray[Any, Any]":
    """sum over x and y of weight(x, y) grad log pi(y | x)."""
    return sum((weight(x, y) * score(x, y) for x in range(TASKS) for y in range(ANSWERS)), np.zeros(TASKS * ANSWERS))


def w(x: int, y: int) -> float:
    behaviour = np.log([[beta[x, y] for beta in BETA]])
    return float(np.exp(log_mixture_weights(behaviour, np.array([SAMPLES], dtype=float), np.log(PI[x, y])))[0])


REINFORCE = expectation(lambda x, y: PI[x, y] * VALID[x, y])
RATES = [(beta * VALID).sum(axis=1) for beta in BETA]
"""Z_i(x)."""
RATE = (PI * VALID).sum(axis=1)
"""Z(x) of pi."""


def between(a: "np.ndarray[Any, Any]", b: "np.ndarray[Any, Any]") -> float:
    return float(a @ b / math.sqrt((a @ a) * (b @ b)))


def test_reinforce_is_the_gradient_of_the_share_solved() -> None:
    def solved(logits: "np.ndarray[Any, Any]") -> float:
        policy = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        return float((policy * VALID).sum())

    for i in range(TASKS * ANSWERS):
        step = np.zeros(TASKS * ANSWERS)
        step[i] = 1e-5
        step = step.reshape(TASKS, ANSWERS)
        assert (solved(LOGITS[0] + step) - solved(LOGITS[0] - step)) / 2e-5 == pytest.approx(REINFORCE[i], abs=1e-9)


def test_sft_on_every_valid_trace_is_reinforce_weighted_by_w_exactly() -> None:
    """Proposition 2, by enumeration of what each behaviour policy samples."""
    sft = expectation(lambda x, y: sum(n * beta[x, y] for n, beta in zip(SAMPLES, BETA, strict=True)) * VALID[x, y])
    assert sft == pytest.approx(expectation(lambda x, y: PI[x, y] * w(x, y) * VALID[x, y]), abs=1e-12)
    assert between(sft, REINFORCE) < 0.99, "without weights it is something else"


def test_one_by_w_and_pi_by_beta_both_give_reinforce_back() -> None:
    in_pool_times = [(n, beta) for n, beta in zip(SAMPLES, BETA, strict=True)]
    mixture = expectation(lambda x, y: sum(n * beta[x, y] for n, beta in in_pool_times) * VALID[x, y] / w(x, y))
    own = expectation(
        lambda x, y: sum(n * beta[x, y] * PI[x, y] / beta[x, y] for n, beta in in_pool_times) * VALID[x, y]
    )
    assert mixture == pytest.approx(REINFORCE, abs=1e-12)
    assert own == pytest.approx(REINFORCE * sum(SAMPLES), abs=1e-12)


def test_ratios_of_normalised_distributions_need_the_normalisers_of_each_task() -> None:
    """E_pi[R (beta~ / pi~) grad log pi] is not beta's gradient; times Z_beta / Z_pi, task by task, it is."""
    beta, rate = BETA[0], RATES[0]
    sft = expectation(lambda x, y: beta[x, y] * VALID[x, y])

    def normalised_ratio(x: int, y: int) -> float:
        return (beta[x, y] / rate[x]) / (PI[x, y] / RATE[x])

    without = expectation(lambda x, y: PI[x, y] * VALID[x, y] * normalised_ratio(x, y))
    repaired = expectation(lambda x, y: PI[x, y] * VALID[x, y] * normalised_ratio(x, y) * rate[x] / RATE[x])
    assert repaired == pytest.approx(sft, abs=1e-12)
    assert between(without, sft) < 0.999


def test_over_all_tasks_together_the_normalisers_are_one_constant_each_and_the_pool_s_shares_absorb_them() -> None:
    """Distributions of pairs (x, y): mixed by each generation's share of the pool they are the pool, by n_i not."""
    totals = [n * rate.sum() for n, rate in zip(SAMPLES, RATES, strict=True)]
    pairs = [beta * VALID / rate.sum() for beta, rate in zip(BETA, RATES, strict=True)]
    pooled = sum(n * beta * VALID for n, beta in zip(SAMPLES, BETA, strict=True)) / sum(totals)
    by_share = sum(total / sum(totals) * pair for total, pair in zip(totals, pairs, strict=True))
    by_samples = sum(n / sum(SAMPLES) * pair for n, pair in zip(SAMPLES, pairs, strict=True))
    assert by_share == pytest.approx(pooled, abs=1e-12)
    assert abs(by_samples - pooled).max() > 0.01


RANK = [[1, 0, None, None], [2, None, 0, 1], [None, None, None, 0]]
"""How good each answer is; None: invalid."""


def kept(x: int, drawn: Sequence[int]) -> int | None:
    """The one that curation keeps."""
    ranked = [(RANK[x][y], y) for y in drawn if RANK[x][y] is not None]
    return min(ranked)[1] if ranked else None  # type: ignore[type-var]


@pytest.mark.parametrize("x", range(TASKS))
def test_the_chance_to_be_the_one_trace_kept_is_exact(x: int) -> None:
    """Against all that can be drawn: two samples of the first policy and one of the second."""
    chances = [0.0] * ANSWERS
    for drawn in itertools.product(range(ANSWERS), repeat=3):
        chance = BETA[0][x, drawn[0]] * BETA[0][x, drawn[1]] * BETA[1][x, drawn[2]]
        if (best := kept(x, drawn)) is not None:
            chances[best] += chance
    assert best_of([beta[x].tolist() for beta in BETA], SAMPLES, RANK[x]) == pytest.approx(chances, abs=1e-12)
    assert in_pool([rate[x] for rate in RATES], SAMPLES) == pytest.approx(sum(chances), abs=1e-12)


@pytest.mark.parametrize("samples", [1, 2, 4, 32])
@pytest.mark.parametrize("rate", [0.001, 0.05, 0.3, 0.9, 1.0])
def test_keeping_one_of_a_task_weighs_it_like_the_smaller_of_n_and_one_by_z(samples: int, rate: float) -> None:
    weight, bound = in_pool([rate], [samples]) / rate, min(samples, 1 / rate)
    assert weight == pytest.approx(sum((1 - rate) ** k for k in range(samples)))
    assert (1 - 1 / math.e) * bound <= weight <= bound * (1 + 1e-12)


TIED = [[0, 0, None, None], [1, None, 0, 0], [None, None, None, 0]]
"""Some answers are as good as others."""


@pytest.mark.parametrize("x", range(TASKS))
def test_of_equally_good_traces_the_oldest_is_kept_and_that_is_exact(x: int) -> None:
    """Against all that can be drawn, in the order of age: two samples of the first policy, one of the second."""
    chances = [0.0] * ANSWERS
    for drawn in itertools.product(range(ANSWERS), repeat=3):
        ranks = [math.inf if (rank := TIED[x][y]) is None else rank for y in drawn]
        if min(ranks) < math.inf:
            chances[drawn[ranks.index(min(ranks))]] += (
                BETA[0][x, drawn[0]] * BETA[0][x, drawn[1]] * BETA[1][x, drawn[2]]
            )
    assert best_of([beta[x].tolist() for beta in BETA], SAMPLES, TIED[x]) == pytest.approx(chances, abs=1e-12)


@pytest.mark.parametrize("samples", [1, 2, 5])
def test_an_unlikely_answer_is_kept_where_nothing_better_is_among_the_other_samples(samples: int) -> None:
    """Not where nothing better is sampled at all: of one sample, the answer itself is the one that has to come."""
    rare, better = 1e-6, 0.3
    chance = best_of([[rare, better, 1 - rare - better]], [samples], [1, 0, None])[0]
    assert chance / (samples * rare) == pytest.approx((1 - better) ** (samples - 1), rel=1e-4)


def test_with_few_samples_one_per_task_is_far_from_one_by_z() -> None:
    """The runs of the demo draw two samples: a task of 5% and one of 50% then differ by 1.3, not by 10."""
    hard, easy = (in_pool([rate], [2]) / rate for rate in (0.05, 0.5))
    assert hard / easy == pytest.approx(1.95 / 1.5)


def test_one_trace_of_a_single_policy_weighs_an_answer_by_the_chance_that_nothing_better_came() -> None:
    """Selection is part of the reward: of two valid answers the better one counts more than under REINFORCE."""
    chance = best_of([PI[1].tolist()], [3], RANK[1])
    weights = {y: chance[y] / PI[1, y] for y in range(ANSWERS) if VALID[1, y]}
    in_order = sorted(weights, key=lambda y: RANK[1][y] or 0)
    assert weights[in_order[0]] > weights[in_order[1]] > weights[in_order[2]]


def mean_of_ratio(draws: Sequence[Sequence[tuple[float, tuple[int, int]]]]) -> "np.ndarray[Any, Any]":
    """E[sum of R grad log pi / N+ | N+ > 0] over independent draws, each a list of (chance, (x, y))."""
    total, mass = np.zeros(TASKS * ANSWERS), 0.0
    for outcome in itertools.product(*draws):
        chance = math.prod(one for one, _ in outcome)
        pairs = [(x, y) for _, (x, y) in outcome if VALID[x, y]]
        if pairs:
            total += chance * sum((score(x, y) for x, y in pairs), np.zeros(TASKS * ANSWERS)) / len(pairs)
            mass += chance
    return total / mass


def test_dividing_by_the_number_of_valid_traces_is_harmless_for_random_tasks_only() -> None:
    """E[S / N+] is along E[S] when task and answer are drawn together; with a fixed list of tasks only nearly."""
    anything = [(PI[x, y] / TASKS, (x, y)) for x in range(TASKS) for y in range(ANSWERS)]
    of_task = [[(PI[x, y], (x, y)) for y in range(ANSWERS)] for x in range(TASKS)]
    assert between(mean_of_ratio([anything] * 3), REINFORCE) == pytest.approx(1, abs=1e-12)
    assert 0.9 < between(mean_of_ratio(of_task), REINFORCE) < 1 - 1e-6


def test_a_temperature_is_applied_token_by_token_so_it_is_not_a_power_of_the_whole_answer() -> None:
    """Two tokens of two: p(y) ** (1 / T), normalised over answers, is not what sampling at T draws from."""
    first, second = np.array([0.7, 0.3]), np.array([[0.5, 0.5], [0.9, 0.1]])

    def cooled(p: "np.ndarray[Any, Any]") -> "np.ndarray[Any, Any]":
        return np.asarray(p**2 / (p**2).sum(axis=-1, keepdims=True))

    drawn = cooled(first)[:, None] * cooled(second)
    power = (first[:, None] * second) ** 2
    assert abs(drawn - power / power.sum()).max() > 0.05


def test_at_another_temperature_the_objective_is_another_one_and_so_is_its_gradient() -> None:
    """Two tokens of three, a valid pair: what is solved at T has the gradient E_T[R grad log beta_T], not grad J."""
    rng = np.random.default_rng(11)
    logits, valid, T = rng.normal(size=(4, 3)), rng.random((3, 3)) < 0.4, 0.3
    answers = list(itertools.product(range(3), repeat=2))

    def policy(logits: Any, T: float) -> Any:
        scaled = np.exp(logits / T)
        return scaled / scaled.sum(axis=1, keepdims=True)  # row 0: the first token; row 1 + a: the second after a

    def solved(logits: Any, T: float) -> float:
        p = policy(logits, T)
        return float(sum(p[0, a] * p[1 + a, b] * valid[a, b] for a, b in answers))

    def grad_log(p: Any, a: int, b: int, T: float) -> Any:
        out = np.zeros((4, 3))
        for row, token in ((0, a), (1 + a, b)):
            out[row] = -p[row] / T
            out[row, token] += 1 / T
        return out.ravel()

    cold, warm = policy(logits, T), policy(logits, 1.0)
    of_its_own = sum(cold[0, a] * cold[1 + a, b] * valid[a, b] * grad_log(cold, a, b, T) for a, b in answers)
    numeric = []
    for i in range(12):
        step = np.zeros(12)
        step[i] = 1e-5
        numeric.append((solved(logits + step.reshape(4, 3), T) - solved(logits - step.reshape(4, 3), T)) / 2e-5)
    assert of_its_own == pytest.approx(np.array(numeric), abs=1e-8)
    at_one = sum(warm[0, a] * warm[1 + a, b] * valid[a, b] * grad_log(warm, a, b, 1.0) for a, b in answers)
    sft = sum(cold[0, a] * cold[1 + a, b] * valid[a, b] * grad_log(warm, a, b, 1.0) for a, b in answers)
    assert max(between(sft, at_one), between(sft, of_its_own), between(at_one, of_its_own)) < 1 - 1e-3


def test_the_effective_size_is_the_count_of_equal_weights_and_1_where_one_has_all() -> None:
    assert effective_size(np.zeros(7) - 900.0) == pytest.approx(7)
    assert effective_size(np.array([0.0, -800.0, -800.0])) == pytest.approx(1)
    assert normalised(np.log([1.0, 3.0])).tolist() == pytest.approx([0.25, 0.75])


def test_a_generation_that_never_met_the_task_does_not_count() -> None:
    logs = np.log([[0.5, 0.9]])
    weights = log_mixture_weights(logs, np.array([[2.0, 0.0]]), np.log([0.25]))
    assert weights.tolist() == pytest.approx([math.log(4)])


def noisy(mean: Any, noise: float, seed: int) -> Any:
    """(2, GROUPS, P): the mean in every cell with noise of that length."""
    import torch

    cells = mean.expand(2, GROUPS, len(mean))
    size = len(mean) ** 0.5
    return cells + noise * torch.randn(cells.shape, generator=torch.Generator().manual_seed(seed)) / size


def test_a_comparison_sees_through_noise_that_spoils_the_plain_cosine() -> None:
    import torch

    a, b = torch.zeros(4000), torch.zeros(4000)
    a[0], b[0], b[1] = 1.0, 0.6, 0.8
    first, second = noisy(a, 3.0, 1), noisy(2 * b, 3.0, 2)
    plain = cosine(first, second)
    found = compare(first, second)
    assert plain is not None and plain < 0.5
    assert found.cosine is not None and plain < found.cosine < 0.56
    assert found.clean_cosine == pytest.approx(0.6, abs=0.06)
    assert found.norm_ratio == pytest.approx(0.5, abs=0.05)
    assert found.clean_cosine_error is not None and 0.001 < found.clean_cosine_error < 0.1
    alone = compare(first, second, halves=False)
    assert alone.clean_cosine is None and alone.norm_ratio is not None and alone.norm_ratio > 0.55


def test_a_comparison_with_nothing_but_noise_or_nothing_says_so() -> None:
    import torch

    opposite = noisy(torch.zeros(50), 1.0, 1)
    opposite[1] = -opposite[0]
    assert compare(opposite, opposite).cosine is None
    nothing = torch.zeros(2, GROUPS, 50)
    assert compare(nothing, noisy(torch.ones(50), 0.1, 2)).cosine is None
    assert cosine(nothing, nothing) is None and norm_ratio(nothing, nothing) is None


def test_the_ceiling_is_the_cosine_that_so_many_traces_have_with_the_expectation() -> None:
    """Of half of the noisy cells: from the length of all of them, and measured."""
    import torch

    mean = torch.zeros(4000)
    mean[0] = 1.0
    everything = noisy(mean, 3.0, 1).reshape(-1, 4000)
    length = norm_ratio(everything.mean(0), mean)
    half = cosine(everything[:GROUPS].mean(0), mean)
    assert half is not None and ceiling(length, 2 * GROUPS, GROUPS) == pytest.approx(half, abs=0.02)
    assert ceiling(None, 9, 9) is None and ceiling(0.5, 9, 0) is None
