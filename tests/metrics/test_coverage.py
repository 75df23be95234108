"""Measuring a generation: coverage, its interval, pass@k, unanimous@k, sizes, plan lengths."""

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest

from helpers.support import trace
from iterdeploy.metrics.coverage import count_verdicts, coverage_of_splits
from iterdeploy.metrics.form import as_record, written
from iterdeploy.metrics.records import Coverage, Metrics
from iterdeploy.metrics.results import mean_interval
from iterdeploy.record.outputs import parsed
from iterdeploy.types import JUDGED, Split, Status, Trace, Verdict

BAD = Status.INVALID


def wilson(successes: int, n: int) -> tuple[float, float]:
    """Wilson (1927) as the two roots of (p - p0)^2 = z^2 p0 (1 - p0) / n."""
    z, p = 1.959963984540054, successes / n
    a, b, c = 1 + z * z / n, -(2 * p + z * z / n), p * p
    root = math.sqrt(b * b - 4 * a * c)
    return (-b - root) / (2 * a), (-b + root) / (2 * a)


def deployed(*traces: Trace) -> Coverage:
    coverage = coverage_of_splits(traces).deployed
    assert coverage is not None
    return coverage


@pytest.mark.parametrize(("successes", "n"), [(0, 10), (1, 10), (5, 10), (10, 10), (50, 100), (3, 600), (1, 1)])
def test_with_one_sample_per_task_the_interval_is_wilson_s(successes: int, n: int) -> None:
    interval = mean_interval([1.0] * successes + [0.0] * (n - successes), n)
    low, high = wilson(successes, n)
    assert interval.low == pytest.approx(low, abs=1e-12) and interval.high == pytest.approx(high, abs=1e-12)


def test_wilson_s_interval_agrees_with_the_textbook() -> None:
    """Newcombe (1998), table I: 81 of 263 gives 0.2553 to 0.3662, and 0 of 20 gives 0 to 0.1611."""
    interval = mean_interval([1.0] * 81 + [0.0] * 182, 263)
    assert (round(interval.low, 4), round(interval.high, 4)) == (0.2553, 0.3662)
    interval = mean_interval([0.0] * 20, 20)
    assert (round(interval.low, 4), round(interval.high, 4)) == (0.0, 0.1611)


def test_samples_that_agree_within_their_task_say_no_more_than_one_sample() -> None:
    agreeing = deployed(*(trace(f"t{i}", index=k, status=Status.VALID if i < 20 else BAD)
                          for i in range(40) for k in range(4)))  # fmt: skip
    low, high = wilson(20, 40)
    assert (agreeing.interval.low, agreeing.interval.high) == (pytest.approx(low), pytest.approx(high))
    as_if_independent = wilson(80, 160)
    assert agreeing.interval.high - agreeing.interval.low > 1.8 * (as_if_independent[1] - as_if_independent[0])


def test_samples_never_say_more_than_if_they_were_independent() -> None:
    """Nine tasks solved half of the time and one always: the rates hardly vary, but there are only 20 samples."""
    rates = [0.5] * 9 + [1.0]
    interval = mean_interval(rates, 20)
    low, high = wilson(11, 20)
    assert interval.low <= low + 1e-9 and interval.high >= high - 1e-9


def test_the_interval_holds_the_mean_and_stays_within_0_and_1() -> None:
    for rates in ([0.0], [1.0], [0.5], [0.0] * 9 + [0.5], [1.0] * 9 + [0.5], [0.25, 0.75] * 8):
        interval = mean_interval(rates, 2 * len(rates))
        mean = sum(rates) / len(rates)
        assert 0 <= interval.low <= mean <= interval.high <= 1
        assert interval.high - interval.low > 0


def test_coverage_pass_at_k_and_unanimous_at_k() -> None:
    measured = deployed(
        trace("all", index=0), trace("all", index=1),
        trace("some", index=0), trace("some", index=1, status=BAD),
        trace("none", index=0, status=BAD), trace("none", index=1, status=Status.TRUNCATED),
        trace("none2", index=0, status=Status.UNPARSEABLE), trace("none2", index=1, status=BAD),
    )  # fmt: skip
    assert measured.tasks == 4
    assert measured.solved == 1.5
    assert measured.coverage == 0.375
    assert measured.pass_at_k == 0.5
    assert measured.unanimous_at_k == 0.25
    assert measured.samples_per_task == 2


def test_an_error_of_the_validator_is_not_solved_and_is_counted() -> None:
    measured = deployed(trace("a"), trace("b", status=Status.ERROR))
    assert measured.coverage == 0.5
    assert measured.verdicts == {"valid": 1, "invalid": 0, "unparseable": 0, "truncated": 0, "error": 1}


def test_by_size_and_plan_lengths_count_tasks_and_valid_plans() -> None:
    measured = deployed(
        trace("a", size=2, length=2), trace("b", size=2, status=BAD, length=30),
        trace("c", size=5, length=8), trace("d", size=10, status=BAD), trace("e", size=5, length=2),
    )  # fmt: skip
    assert measured.by_size == {2: (0.5, 2), 5: (1.0, 2), 10: (0.0, 1)}
    assert list(measured.by_size) == [2, 5, 10]
    assert measured.plan_lengths == {2: 2, 8: 1}
    assert measured.mean_plan == 4
    assert measured.longest_plan == 8


def test_reasoning_tokens_are_the_mean_over_all_samples() -> None:
    assert deployed(trace("a", reasoning=4), trace("b", reasoning=0, status=BAD)).reasoning_tokens == 2


def test_strict_share_is_over_the_plans_that_could_be_read() -> None:
    measured = deployed(
        trace("a", strict=True), trace("b", strict=False, status=BAD), trace("c", status=Status.UNPARSEABLE)
    )
    assert measured.strict_share == 0.5
    assert deployed(trace("c", status=Status.TRUNCATED)).strict_share is None


def test_of_a_request_without_an_answer_nothing_was_read() -> None:
    nothing = replace(trace("b"), verdict=Verdict.error("the server had no answer"))
    assert deployed(trace("a"), nothing).readings == {"strict": 1, "lenient": 0, "none": 1}


def test_with_nothing_solved_the_plan_measures_are_absent() -> None:
    measured = deployed(trace("a", status=BAD), trace("b", status=BAD))
    assert (measured.solved, measured.coverage) == (0, 0)
    assert measured.mean_plan is None and measured.longest_plan is None and measured.plan_lengths == {}


def test_deployed_and_held_out_are_measured_apart() -> None:
    metrics = coverage_of_splits([trace("a"), trace("b", status=BAD), trace("c", split=Split.HELD_OUT)])
    assert metrics.deployed is not None and metrics.held_out is not None
    assert (metrics.deployed.tasks, metrics.deployed.coverage) == (2, 0.5)
    assert (metrics.held_out.tasks, metrics.held_out.coverage) == (1, 1.0)
    assert metrics.verdicts["valid"] == 2
    assert coverage_of_splits([trace("a", generation=4)]).held_out is None
    assert coverage_of_splits([trace("a", generation=4)]).generation == 4


def test_every_status_is_counted_even_if_it_never_occurs() -> None:
    assert count_verdicts([]) == {status.value: 0 for status in JUDGED}


def test_what_is_written_is_plain_data_from_which_the_same_record_is_read() -> None:
    metrics = coverage_of_splits([trace("a", size=3, length=4), trace("b", size=12, status=BAD)])
    values = written(metrics)
    assert json.loads(json.dumps(values)) == values
    assert parsed(Metrics, as_record(values), Path("metrics.json")) == metrics
    assert values["held_out"] is None
    assert values["deployed"]["by_size"] == {"3": {"coverage": 1.0, "tasks": 1}, "12": {"coverage": 0.0, "tasks": 1}}
    assert values["deployed"]["plan_lengths"] == {"4": 1}
    low, high = values["deployed"]["interval"]
    assert 0 < low < 0.5 < high < 1
