"""Several seeds as one: what their intervals hold, and where a few seeds must not be believed."""

import math
from itertools import chain
from statistics import fmean, stdev

import pytest

from iterdeploy.metrics.paired import paired
from iterdeploy.metrics.results import TaskResult, mean_interval
from iterdeploy.metrics.seeds import coverage, difference, mean, ratio


def results(rates: list[float], seed: str = "") -> list[TaskResult]:
    """One task for each rate, of ten samples."""
    return [TaskResult(0, "held_out", "d", 3, f"{seed}{i}", round(10 * rate), 10) for i, rate in enumerate(rates)]


def test_a_band_over_seeds_is_the_t_interval_of_their_coverages() -> None:
    seeds = [results([0.2] * 5 + [0.4] * 5, "a"), results([0.5] * 10, "b"), results([0.9] * 5 + [0.5] * 5, "c")]
    point = coverage(seeds)
    values = [0.3, 0.5, 0.7]
    half = 4.302653 * stdev(values) / math.sqrt(3)
    assert point is not None and point.value == pytest.approx(0.5)
    assert (point.low, point.high) == (pytest.approx(0.5 - half, abs=1e-6), pytest.approx(0.5 + half, abs=1e-6))


def test_seeds_with_the_same_tasks_get_the_variance_over_tasks_on_top() -> None:
    rates = [[0.0] * 5 + [1.0] * 5, [1.0] * 1 + [0.0] * 5 + [1.0] * 4]
    own = coverage([results(rates[0], "a"), results(rates[1], "b")])
    same = coverage([results(rates[0]), results(rates[1])])
    assert own is not None and same is not None
    assert own.value == same.value == 0.5  # the seeds agree, so their spread says nothing
    assert own.low == pytest.approx(mean_interval([0.0] * 10 + [1.0] * 10, 200).low)
    by_task = [fmean(pair) for pair in zip(*rates, strict=True)]
    assert same.low == pytest.approx(0.5 - 1.959964 * stdev(by_task) / math.sqrt(10))


def test_a_single_seed_has_the_interval_over_its_tasks() -> None:
    point = coverage([results([1.0] * 50 + [0.0] * 50)])
    assert point is not None and (round(point.low or 0, 3), round(point.high or 0, 3)) == (0.404, 0.596)
    assert coverage([[]]) is None and coverage([]) is None
    assert mean([0.5]) is not None and mean([]) is None


def test_seeds_that_agree_on_rare_successes_do_not_make_an_interval_of_no_width() -> None:
    """Three seeds of 16 tasks of which nothing is solved: as 48 tasks of which nothing is solved, 0 to 7.4%."""
    point = coverage([results([0.0] * 16, seed) for seed in "abc"])
    assert point is not None and (point.value, point.low) == (0, 0)
    assert point.high == pytest.approx(1.959964**2 / (48 + 1.959964**2), abs=1e-6)


def test_the_ratio_over_seeds_that_share_tasks_has_the_variance_over_tasks_on_top() -> None:
    """Each task has its own ratio, each seed the same: only the tasks say how far other tasks would differ."""
    first, last = [0.2, 0.2, 0.4, 0.4], [0.2, 0.6, 0.4, 0.8]
    own = ratio([results(first, "a"), results(first, "b")], [results(last, "a"), results(last, "b")])
    same = ratio([results(first)] * 2, [results(last)] * 2)
    assert own is not None and same is not None
    assert own.low == own.high == pytest.approx(5 / 3) and same.value == pytest.approx(5 / 3)
    by_task = [after / 0.5 - before / 0.3 for before, after in zip(first, last, strict=True)]
    assert same.high == pytest.approx(5 / 3 * math.exp(1.959964 * stdev(by_task) / 2))


def test_a_seed_that_solves_nothing_leaves_a_ratio_of_the_means() -> None:
    found = ratio([results([0.0, 0.0], "a"), results([0.5, 0.1], "b")], [results([0.3] * 2, s) for s in "ab"])
    assert found is not None and found.value == pytest.approx(2)


def test_paired_seeds_have_the_wider_of_two_intervals_and_the_larger_of_two_p_values() -> None:
    before = [results([0.0] * 6 + [1.0] * 4, seed) for seed in "abc"]
    alike = difference(before, [results([1.0] * 8 + [0.0] * 2, seed) for seed in "abc"])
    assert alike is not None and (alike.tasks, alike.gained, alike.lost) == (30, 18, 6)
    pooled = paired(chain(*before), chain(*(results([1.0] * 8 + [0.0] * 2, seed) for seed in "abc")))
    assert pooled is not None and (alike.interval, alike.p) == (pooled.interval, pooled.p)  # the seeds agree
    solving = {"a": 4, "b": 7, "c": 10}
    apart = difference(before, [results([1.0] * ones + [0.0] * (10 - ones), seed) for seed, ones in solving.items()])
    assert apart is not None and apart.difference == pytest.approx(0.3)
    half = 4.302653 * 0.3 / math.sqrt(3)
    assert (apart.interval.low, apart.interval.high) == (pytest.approx(0.3 - half), pytest.approx(1.0))
    ttest = pytest.importorskip("scipy.stats").ttest_1samp
    assert apart.p == pytest.approx(ttest([0.0, 0.3, 0.6], 0).pvalue, abs=1e-6)


def test_paired_seeds_that_share_tasks_have_the_variance_over_tasks_on_top() -> None:
    before, after = results([0.0, 0.0, 1.0, 0.5]), results([1.0, 0.0, 1.0, 1.0])
    found = difference([before, before], [after, after])
    assert found is not None and (found.tasks, found.gained) == (4, 2)
    half = 1.959964 * stdev([1.0, 0.0, 0.0, 0.5]) / 2
    assert found.interval.high == pytest.approx(0.375 + half)
    assert difference([before], [after]) == paired(before, after)
    assert difference([before, before], [after, results([1.0], "other")]) is None


def test_the_ratio_of_one_run_is_paired_by_task() -> None:
    first = results([0.2, 0.4, 0.2, 0.4])
    exact = ratio([first], [results([0.4, 0.8, 0.4, 0.8])])
    assert exact is not None and exact.value == pytest.approx(2) and exact.low == pytest.approx(2)
    loose = ratio([first], [results([0.8, 0.4, 0.8, 0.4])])
    assert loose is not None and loose.value == pytest.approx(2) and (loose.low or 0) < 1.2
    assert ratio([results([0.0, 0.0])], [first]) is None  # nothing was solved at first
    seeds = ratio([first, first], [results([0.4, 0.8, 0.4, 0.8]), results([0.2, 0.4, 0.2, 0.4])])
    assert seeds is not None and seeds.value == pytest.approx(1.5) and (seeds.low or 1) < 0.1
