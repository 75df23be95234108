"""The frontier and pass@k, from how single tasks went."""

import itertools
from statistics import fmean

import pytest

from iterdeploy.metrics.frontier import frontier, frontier_of
from iterdeploy.metrics.pass_at_k import curve, pass_at_k
from iterdeploy.metrics.records import Point
from iterdeploy.metrics.results import TaskResult


def of_sizes(solved: dict[int, tuple[int, int]], samples: int = 1) -> list[TaskResult]:
    """Size -> (tasks of which every sample is valid, tasks)."""
    return [
        TaskResult(0, "held_out", "d", size, f"{size}-{i}", samples * (i < valid), samples)
        for size, (valid, tasks) in solved.items()
        for i in range(tasks)
    ]


def test_the_frontier_is_the_largest_size_of_which_a_tenth_is_solved() -> None:
    """The demo's base model by number of blocks: nothing above 7 counts, though some of size 8 are solved."""
    found = frontier(of_sizes({3: (28, 63), 6: (34, 63), 7: (22, 63), 8: (2, 62), 9: (0, 62), 10: (0, 62)}))
    assert found is not None
    assert (found.size, found.coverage, found.largest) == (7, pytest.approx(22 / 63), 10)
    assert (found.low, found.high) == (7, 8)  # 2 of 62 may be a tenth: 0.9 to 11.0%


def test_a_single_lucky_answer_moves_the_longest_plan_but_not_the_frontier() -> None:
    calm = {3: (50, 60), 4: (30, 60), 5: (1, 60), 9: (0, 60)}
    lucky = {**calm, 9: (1, 60)}
    assert frontier(of_sizes(calm)) == frontier(of_sizes(lucky))


def test_few_tasks_leave_the_frontier_open() -> None:
    found = frontier(of_sizes({3: (5, 5), 4: (1, 5), 5: (0, 5)}))
    assert found is not None and (found.size, found.low, found.high, found.largest) == (4, 3, 5, 5)


def test_the_exact_tenth_counts_and_below_it_there_may_be_no_frontier() -> None:
    assert (found := frontier(of_sizes({3: (10, 100)}))) is not None and found.size == 3
    none = frontier(of_sizes({3: (9, 100), 4: (0, 100)}))
    assert none is not None and (none.size, none.coverage, none.low, none.high) == (None, None, None, 3)
    assert frontier([]) is None and frontier_of({}) is None


def test_a_gap_between_sizes_stays_a_gap() -> None:
    found = frontier_of({3: Point(0.9, 0.8, 1.0), 8: Point(0.02, 0.0, 0.05), 12: Point(0.0, 0.0, 0.04)})
    assert found is not None and (found.size, found.low, found.high) == (3, 3, 3)


@pytest.mark.parametrize(("valid", "samples"), [(0, 5), (2, 5), (5, 5), (1, 8)])
def test_pass_at_k_is_the_mean_over_all_choices_of_k_samples(valid: int, samples: int) -> None:
    outcomes = [True] * valid + [False] * (samples - valid)
    for k in range(1, samples + 1):
        expected = fmean(any(chosen) for chosen in itertools.combinations(outcomes, k))
        assert pass_at_k(valid, samples, k) == pytest.approx(expected, abs=1e-12)


def test_the_curve_starts_at_coverage_and_ends_at_the_share_of_tasks_ever_solved() -> None:
    rows = [TaskResult(0, "held_out", "d", 3, str(i), valid, 6) for i, valid in enumerate([0, 0, 1, 3, 6])]
    found = curve(rows)
    assert list(found) == [1, 2, 4, 6]
    assert found[1].value == pytest.approx(10 / 30) and found[6].value == pytest.approx(3 / 5)
    assert [point.value for point in found.values()] == sorted(point.value for point in found.values())
    assert all(point.low is not None and point.low < point.value < (point.high or 0) for point in found.values())
    assert curve([]) == {} and list(curve(rows[:1])) == [1, 2, 4, 6]
