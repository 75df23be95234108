"""Curation: which traces train, in which order the policies apply, and that the choice is reproducible."""

import math
import random
from dataclasses import replace

import pytest

from helpers.support import pool_of, trace, weighed
from iterdeploy.curation.named import POLICIES, find_policies
from iterdeploy.curation.policies import BASELINES, compose, rewarded
from iterdeploy.sections import ConfigError
from iterdeploy.types import JUDGED, Status, Trace

PAPER = ("valid", "best_per_task")


def curated(names: tuple[str, ...], *traces: Trace) -> list[str]:
    """The texts ("task-generation-index") of what is kept, in the pool's order."""
    return [kept.trace.completions[0].text for kept in compose(find_policies(names))(weighed(traces))]


def test_valid_keeps_the_valid_ones_only() -> None:
    traces = [trace(f"t{i}", status=status) for i, status in enumerate(Status)]
    assert curated(("valid",), *traces) == ["t0-0-0"]


def test_all_keeps_everything_but_errors_of_the_validator() -> None:
    traces = [trace(f"t{i}", status=status) for i, status in enumerate(JUDGED)]
    assert curated(("all",), *traces) == ["t0-0-0", "t1-0-0", "t2-0-0", "t3-0-0"]


@pytest.mark.parametrize("policy", [*POLICIES, "at_most(3)", "sample(1)"])
def test_an_error_of_the_validator_never_trains_whatever_the_policy(policy: str) -> None:
    good, failed = trace("t1"), trace("t2", generation=1, status=Status.ERROR)
    assert failed.id not in pool_of([policy], [good, failed]).weights


def test_the_paper_s_policy_prefers_the_shortest_plan() -> None:
    assert curated(PAPER, trace(index=0, length=6, reasoning=1), trace(index=1, length=4, reasoning=90)) == ["t1-0-1"]


def test_equal_plans_are_told_apart_by_reasoning_then_by_age_then_by_index() -> None:
    long, short = trace(index=0, reasoning=9), trace(index=1, reasoning=3)
    assert curated(PAPER, long, short) == ["t1-0-1"]
    old, new = trace(generation=0, index=1), trace(generation=1, index=0)
    assert curated(PAPER, new, old) == ["t1-0-1"]
    assert curated(PAPER, trace(index=1), trace(index=0)) == ["t1-0-0"]


def test_an_invalid_trace_never_beats_a_valid_one() -> None:
    assert curated(("best_per_task",), trace(index=0, length=1, status=Status.INVALID), trace(index=1, length=9)) == [
        "t1-0-1"
    ]


def test_best_per_task_looks_at_all_generations_and_every_task_apart() -> None:
    traces = [trace("a", generation=0, length=4), trace("a", generation=1, length=2), trace("b", generation=0)]
    assert curated(PAPER, *traces) == ["a-1-0", "b-0-0"]


def test_newest_generation_forgets_the_older_ones() -> None:
    traces = [trace("a", generation=0), trace("b", generation=2), trace("c", generation=2), trace("d", generation=1)]
    assert curated(("newest_generation",), *traces) == ["b-2-0", "c-2-0"]
    assert curated(("newest_generation",)) == []


def test_at_most_keeps_the_best_few_of_every_task() -> None:
    traces = [trace("a", index=i, length=9 - i) for i in range(4)] + [trace("b")]
    assert curated(("at_most(2)",), *traces) == ["a-0-2", "a-0-3", "b-0-0"]
    assert curated(("at_most(1)",), *traces) == curated(("best_per_task",), *traces)


def test_policies_apply_in_the_order_in_which_they_are_named() -> None:
    newer_is_invalid = [trace("a", generation=0), trace("b", generation=1, status=Status.INVALID)]
    assert curated(("valid", "newest_generation"), *newer_is_invalid) == ["a-0-0"]
    assert curated(("newest_generation", "valid"), *newer_is_invalid) == []


def test_sample_keeps_about_its_share_and_always_the_same_ones() -> None:
    traces = [trace(f"t{i}") for i in range(2000)]
    kept = curated(("sample(0.3)",), *traces)
    assert 500 < len(kept) < 700  # five standard deviations are 102
    shuffled = random.Random(1).sample(traces, len(traces))
    assert curated(("sample(0.3)",), *shuffled) == kept
    assert set(kept) < set(curated(("sample(0.6)",), *traces))
    assert curated(("sample(0)",), *traces) == []
    assert len(curated(("sample(1)",), *traces)) == 2000


def test_the_pool_does_not_depend_on_the_order_of_the_traces() -> None:
    traces = [
        trace(f"t{i % 7}", generation=i % 3, index=i % 2, length=i % 5 + 1, reasoning=i % 4)
        for i in random.Random(2).sample(range(42), 42)
    ]
    pool = pool_of(PAPER, traces)
    for seed in range(5):
        again = pool_of(PAPER, random.Random(seed).sample(traces, len(traces)))
        assert again == pool and list(again.weights) == list(pool.weights)


def test_the_pool_counts_origins_weighs_one_and_its_digest_is_its_content() -> None:
    traces = [trace("a", generation=0), trace("b", generation=1), trace("c", generation=1)]
    pool = pool_of(PAPER, traces)
    assert dict(pool.weights) == {one.id: 1.0 for one in traces}
    assert dict(pool.by_generation) == {"0": 1, "1": 2}
    assert pool.digest == pool_of(("all",), traces).digest
    assert pool.digest != pool_of(PAPER, traces[:2]).digest
    empty = pool_of(PAPER, [])
    assert empty.weights == {} and empty.digest != pool.digest


@pytest.mark.parametrize(
    "text",
    ["best", "valid(1)", "at_most", "at_most(0)", "at_most(1.5)", "at_most(x)", "at_most(-1)", "sample(1.1)",
     "sample(1.2.3)", "sample", "", "valid best_per_task", "all()"],
)  # fmt: skip
def test_an_unknown_policy_is_refused_with_the_known_ones(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        find_policies([text])
    assert "curation.policies" in str(caught.value)
    assert all(name in str(caught.value) for name in (*POLICIES, "at_most", "sample"))


def test_no_policy_at_all_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"curation\.policies"):
        find_policies([])


def test_spaces_in_a_policy_are_no_matter() -> None:
    traces = [trace("a", index=i) for i in range(3)]
    assert curated((" at_most( 2 ) ",), *traces) == curated(("at_most(2)",), *traces)


def test_noisy_lets_about_its_share_of_the_wrong_answers_through_and_all_the_right_ones() -> None:
    right = [trace(f"r{i}") for i in range(50)]
    wrong = [trace(f"w{i}", status=Status.INVALID) for i in range(1000)]
    kept = curated(("noisy(0.2)",), *right, *wrong)
    assert {one.completions[0].text for one in right} <= set(kept)
    assert 140 < len(kept) - 50 < 260  # five standard deviations are 63
    assert curated(("noisy(0)",), *right, *wrong) == curated(("valid",), *right, *wrong)
    assert len(curated(("noisy(1)",), *right, *wrong)) == 1050


def test_noise_only_reaches_tasks_without_a_right_answer_where_the_best_is_kept() -> None:
    traces = [trace("a", index=0, status=Status.INVALID), trace("a", index=1), trace("b", status=Status.INVALID)]
    assert curated(("noisy(1)", "best_per_task"), *traces) == ["a-0-1", "b-0-0"]


def test_prefer_publishes_with_the_odds_that_it_says() -> None:
    with_detour, without = (("pickup", "b1"), ("putdown", "b1")), (("pickup", "b1"), ("stack", "b1", "b2"))
    traces = [
        replace(one, verdict=replace(one.verdict, answer=with_detour if i % 2 else without))
        for i in range(4000)
        for one in [trace(f"t{i}")]
    ]
    kept = set(curated(("prefer(detour, 1.5)",), *traces))
    marked = sum(one.completions[0].text in kept for one in traces[1::2]) / 2000
    plain = sum(one.completions[0].text in kept for one in traces[::2]) / 2000
    assert marked == pytest.approx(1 / (1 + math.exp(-0.75)), abs=0.053)  # five standard deviations
    assert plain == pytest.approx(1 / (1 + math.exp(0.75)), abs=0.053)
    assert kept == set(curated(("prefer(detour, 1.5)",), *reversed(traces)))


@pytest.mark.parametrize("text", ["prefer", "prefer(detour)", "prefer(nothing, 1)", "prefer(detour, much)",
                                  "prefer(detour, 1, 2)", "noisy(1.5)", "noisy(nan)"])  # fmt: skip
def test_a_preference_needs_a_feature_and_a_number(text: str) -> None:
    with pytest.raises(ConfigError, match=r"prefer\(feature, strength\) with a feature of plan_length"):
        find_policies([text])


def weights(baseline: str, *traces: Trace) -> dict[str, float]:
    return {kept.trace.text: kept.weight for kept in rewarded(baseline, weighed(traces))}


def test_rewards_less_a_baseline() -> None:
    a0, a1 = trace("a", index=0), trace("a", index=1, status=Status.INVALID)
    b0, b1 = trace("b", index=0), trace("b", index=1)
    c0 = trace("c", status=Status.UNPARSEABLE)
    assert weights("none", a0, a1, b0, b1, c0) == {"a-0-0": 1, "b-0-0": 1, "b-0-1": 1}
    assert weights("mean", a0, a1, b0, b1, c0) == pytest.approx(
        {"a-0-0": 0.4, "a-0-1": -0.6, "b-0-0": 0.4, "b-0-1": 0.4, "c-0-0": -0.6}
    )
    # of b both are right, so neither is better than expected; c has no other sample: all others earned 3 of 4
    assert weights("leave_one_out", a0, a1, b0, b1, c0) == {"a-0-0": 1, "a-0-1": -1, "c-0-0": -0.75}


def test_the_left_out_samples_are_those_of_the_same_generation() -> None:
    old, new = trace("a", generation=0, status=Status.INVALID), trace("a", generation=1)
    assert weights("leave_one_out", old, new) == {"a-0-0": -1, "a-1-0": 1}  # each is alone: the other traces count
    pair = [trace("a", generation=1, index=1), trace("a", generation=1, index=0)]
    assert weights("leave_one_out", old, *pair) == {"a-0-0": -1}


def test_without_traces_there_are_no_weights() -> None:
    assert [rewarded(baseline, []) for baseline in BASELINES] == [[], [], []]
