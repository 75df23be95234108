"""Few decisions: the penalised likelihood and the exact tests, against numbers that are known otherwise."""

import numpy as np
import numpy.typing as npt
import pytest
from scipy.stats import binom, fisher_exact

from iterdeploy.audit import penalised
from iterdeploy.audit.association import PERMUTATIONS, associations, decided
from iterdeploy.audit.design import Design
from iterdeploy.audit.effects import together
from iterdeploy.audit.logit import estimate
from iterdeploy.audit.power import of_answers, of_pairs

KEPT = np.repeat([1.0, 0.0, 1.0, 0.0], [8, 0, 20, 47])
MARKER = np.repeat([1.0, 0.0], [8, 67])


def published(columns: npt.NDArray[np.float64], kept: npt.NDArray[np.float64]) -> Design:
    rows = len(kept)
    names = tuple("abc"[: columns.shape[1]])
    return Design(names, columns, np.ones((rows, 1)), np.empty((rows, 0)), kept, np.ones(rows), np.arange(rows))


def test_the_penalty_of_a_two_by_two_table_is_half_an_answer_in_each_cell() -> None:
    """As Firth (1993) shows: even where all answers with the marker were kept, the estimate is finite."""
    matrix = np.column_stack([np.ones(75), MARKER])
    found = penalised.fit(matrix, KEPT, np.ones(75))
    assert found.values[1] == pytest.approx(np.log(8.5 / 0.5) - np.log(20.5 / 47.5), abs=1e-5)
    low, high = penalised.profile_interval(matrix, KEPT, np.ones(75), found, 1, 0.95)
    assert 0 < low < found.values[1] < high
    assert penalised.likelihood_ratio_p(matrix, KEPT, np.ones(75), found, [1]) < 0.01


def test_the_ends_of_a_profile_are_what_the_likelihood_ratio_just_does_not_reject() -> None:
    dice = np.random.default_rng(0)
    matrix = np.column_stack([np.ones(60), dice.normal(size=60)])
    kept = (dice.random(60) < 1 / (1 + np.exp(-matrix[:, 1]))).astype(float)
    found = penalised.fit(matrix, kept, np.ones(60))
    for end in penalised.profile_interval(matrix, kept, np.ones(60), found, 1, 0.95):
        held = penalised.fit(matrix, kept, np.ones(60), (1,), np.array([0.0, end]))
        assert 2 * (found.log_likelihood - held.log_likelihood) == pytest.approx(3.841, abs=0.02)


def test_with_few_decisions_a_coefficient_is_still_given_with_an_interval() -> None:
    dice = np.random.default_rng(2)
    columns = dice.normal(size=(30, 2))
    kept = (dice.random(30) < 1 / (1 + np.exp(-2 * columns[:, 0]))).astype(float)
    design = published(columns, kept)
    assert design.rarer < 15, "five for each of three coefficients would be 15"
    one = estimate(design)["a"]
    assert one.value is not None and one.low is not None and one.high is not None and one.low < 2 < one.high


def test_without_strata_a_marker_is_tested_by_fisher() -> None:
    of, _ = decided(KEPT, np.zeros(75, dtype=np.int64), np.arange(75))
    (one,) = associations(MARKER[:, None], of)
    assert one is not None and one.value == pytest.approx(1 - 20 / 67)
    assert one.p == pytest.approx(fisher_exact([[8, 0], [20, 47]]).pvalue)


def test_in_pairs_a_marker_is_tested_by_the_sign_test() -> None:
    """Strata of two: of 12 pairs that differ, the answer with the marker won 10; the others say nothing."""
    kept = np.tile([1.0, 0.0], 20)
    marker = np.concatenate([np.tile([1.0, 0.0], 10), np.tile([0.0, 1.0], 2), np.ones(16)])
    strata = np.repeat(np.arange(20), 2)
    of, _ = decided(kept, strata, strata)
    (one,) = associations(marker[:, None], of)
    assert one is not None and one.value == pytest.approx((10 - 2) / 12)
    assert one.p == pytest.approx(2 * binom.cdf(2, 12, 0.5))


def test_what_is_not_a_marker_is_permuted_where_decisions_are_few() -> None:
    """Three of three kept are the three largest of ten: 1 of 120 ways, and on the other side another one."""
    of, _ = decided(np.repeat([0.0, 1.0], [7, 3]), np.zeros(10, dtype=np.int64), np.arange(10))
    (one,) = associations(np.arange(10.0)[:, None], of)
    assert one is not None and one.p == pytest.approx(2 / 120, abs=4 * (2 / 120 / PERMUTATIONS) ** 0.5)


def test_answers_that_are_decided_together_do_not_count_several_times() -> None:
    dice = np.random.default_rng(3)
    kept, marker = np.repeat(dice.random((2, 40)) < 0.5, 5, axis=1).astype(float)
    tasks, strata = np.repeat(np.arange(40), 5), np.zeros(200, dtype=np.int64)
    alone = associations(marker[:, None], decided(kept, strata, np.arange(200))[0])[0]
    together = associations(marker[:, None], decided(kept, strata, tasks)[0])[0]
    once = associations(marker[::5, None], decided(kept[::5], strata[::5], tasks[::5])[0])[0]
    assert alone is not None and together is not None and once is not None
    assert alone.p < together.p and together.error == pytest.approx(once.error, rel=0.15)


def test_the_power_of_the_exact_test_is_how_often_it_rejects() -> None:
    dice, found = np.random.default_rng(4), 0
    for _ in range(400):
        kept = dice.random(80) < np.where(np.arange(80) < 20, 1 / (1 + np.exp(-1.5)), 0.5)
        one, other = int(kept[:20].sum()), int(kept[20:].sum())
        found += bool(fisher_exact([[one, 20 - one], [other, 60 - other]]).pvalue < 0.05)
    expected = of_answers(80, 0.25 / (1 + np.exp(-1.5)) + 0.375, 1.5, 0.25, 0.05)
    assert found / 400 == pytest.approx(expected, abs=0.09)
    assert of_pairs(10, 0.0, 0.05) == pytest.approx(2 * binom.cdf(1, 10, 0.5)), "without a taste it is the test's size"


def test_the_joint_fit_of_thousands_of_answers_reaches_its_maximum() -> None:
    """Few are kept, so that the level of all of them is far from zero."""
    draw = np.random.default_rng(0)
    rows = 6000
    detour = (draw.random(rows) < 0.2).astype(float)
    kept = (draw.random(rows) < 1 / (1 + np.exp(6 - 2 * detour))).astype(float)
    joint = together(published(detour[:, None], kept))
    fit = joint.fit
    scaled = joint.matrix * np.sqrt(fit.expected * (1 - fit.expected))[:, None]
    leverage = np.einsum("rk,kl,rl->r", scaled, fit.covariance, scaled)
    assert abs(joint.matrix.T @ (kept - fit.expected + leverage * (0.5 - fit.expected))).max() < 1e-3
