"""Answers to the same tasks, compared task by task: the tests, the intervals, and what may be claimed."""

import itertools
import random

import pytest

from iterdeploy.metrics.paired import equivalent, mcnemar, paired, sign_flips
from iterdeploy.metrics.results import TaskResult


def results(valid: list[int], samples: int = 1, seed: str = "") -> list[TaskResult]:
    """One task for each number of valid samples."""
    return [TaskResult(0, "held_out", "d", 3, f"{seed}{i}", count, samples) for i, count in enumerate(valid)]


def of_counts(both: int, gained: int, lost: int, neither: int) -> tuple[list[TaskResult], list[TaskResult]]:
    before = [1] * both + [0] * gained + [1] * lost + [0] * neither
    after = [1] * both + [1] * gained + [0] * lost + [0] * neither
    return results(before), results(after)


def test_one_sample_per_task_is_mcnemar_s_exact_test() -> None:
    """Generation 2 against generation 4 of the demo: 61.2% and 69.4% of 500 tasks."""
    found = paired(*of_counts(264, 83, 42, 111))
    assert found is not None
    assert (found.tasks, found.gained, found.lost, round(found.p, 4)) == (500, 83, 42, 0.0003)
    assert found.difference == pytest.approx(0.082)
    assert (round(found.interval.low, 3), round(found.interval.high, 3)) == (0.038, 0.125)


@pytest.mark.parametrize(("gained", "lost"), [(0, 0), (1, 0), (5, 5), (7, 1), (40, 61), (0, 12), (900, 1100)])
def test_mcnemar_is_the_binomial_test_of_scipy(gained: int, lost: int) -> None:
    binomtest = pytest.importorskip("scipy.stats").binomtest
    expected = binomtest(gained, gained + lost).pvalue if gained + lost else 1.0
    assert mcnemar(gained, lost) == pytest.approx(expected, rel=1e-9)
    assert sign_flips([1] * gained + [-1] * lost + [0] * 7) == pytest.approx(expected, rel=1e-9)


def test_the_interval_is_that_of_bonett_and_price() -> None:
    """Bonett and Price (2012), formula 5, written out: p12 and p21 with one more of each, of n + 2."""
    found = paired(*of_counts(43, 20, 8, 29))
    assert found is not None
    up, down = 21 / 102, 9 / 102
    half = 1.959964 * ((up + down - (up - down) ** 2) / 102) ** 0.5
    assert found.interval.low == pytest.approx(up - down - half, abs=1e-6)
    assert found.interval.high == pytest.approx(up - down + half, abs=1e-6)


def test_several_samples_flip_the_signs_of_whole_tasks() -> None:
    """Against all sign changes, one by one."""
    steps = [3, -1, 2, 0, 1, 1, -2]
    sums = [
        sum(s * step for s, step in zip(signs, steps, strict=True)) for signs in itertools.product((1, -1), repeat=7)
    ]
    expected = sum(abs(value) >= sum(steps) for value in sums) / len(sums)
    assert sign_flips(steps) == pytest.approx(expected, rel=1e-12)
    found = paired(results([0, 1, 0, 2, 1, 2, 2], 3), results([3, 0, 2, 2, 2, 3, 0], 3))
    assert found is not None
    assert (found.gained, found.lost, found.p) == (4, 2, pytest.approx(expected, rel=1e-12))


def test_samples_that_agree_within_their_task_say_no_more_than_one() -> None:
    once = paired(*of_counts(30, 20, 8, 42))
    before, after = of_counts(30, 20, 8, 42)
    tenfold = paired(results([10 * one.valid for one in before], 10), results([10 * one.valid for one in after], 10))
    assert once is not None and tenfold is not None
    assert tenfold.difference == once.difference and tenfold.p == pytest.approx(once.p)
    width = once.interval.high - once.interval.low
    assert tenfold.interval.high - tenfold.interval.low == pytest.approx(width, rel=0.1)


def test_both_sides_may_have_different_numbers_of_samples() -> None:
    found = paired(results([0, 1, 1, 0], 1), results([2, 4, 3, 0], 4))
    assert found is not None
    assert (found.gained, found.lost, found.difference) == (1, 1, pytest.approx(0.0625))


def test_the_bootstrap_is_the_same_every_time_and_finds_what_the_data_say() -> None:
    chance = random.Random(3)
    before = results([sum(chance.random() < 0.3 for _ in range(3)) for _ in range(200)], 3)
    after = results([sum(chance.random() < 0.5 for _ in range(3)) for _ in range(200)], 3)
    one, again = paired(before, after), paired(before, after)
    assert one == again and one is not None
    assert 0.1 < one.interval.low < 0.2 < one.difference < 0.3 < one.interval.high < 0.4 and one.p < 1e-6


def test_only_shared_tasks_count() -> None:
    found = paired(results([0, 0, 1]), [*results([1]), *results([1, 1], seed="other")])
    assert found is not None and (found.tasks, found.gained) == (1, 1)
    assert paired(results([0]), results([1], seed="other")) is None and paired([], []) is None


def test_where_nothing_changed_the_interval_is_still_one() -> None:
    """No success in 48 tasks of three samples, before and after, does not show that there is none."""
    for samples in (1, 3):
        found = paired(results([0] * 48, samples), results([0] * 48, samples))
        assert found is not None and found.p == 1
        assert found.interval.low < -0.02 and found.interval.high > 0.02


def test_equivalence_needs_a_margin_that_the_whole_interval_is_within() -> None:
    found = paired(*of_counts(200, 5, 5, 290))
    assert found is not None
    assert equivalent(found.interval, 0.03) and not equivalent(found.interval, 0.01)
    few = paired(*of_counts(4, 1, 1, 4))
    assert few is not None and few.p == 1 and not equivalent(few.interval, 0.03)
