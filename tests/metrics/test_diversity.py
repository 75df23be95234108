"""Diversity and collapse: distinct plans, entropy, copies of the pool, tasks lost, distance from generation 0."""

import json
import math
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import pytest

from helpers.support import MODEL, TINY_ANSWERS, as_version_1, run_of, trace
from iterdeploy.metrics.diversity import Amount, diversity, drift, histories, nats, ratio
from iterdeploy.metrics.records import Diversity, Drift, Estimate, Nats
from iterdeploy.models.loading import embedded_models
from iterdeploy.planning.plans import plan_of
from iterdeploy.record.files import read_json
from iterdeploy.record.run_dir import RunDir
from iterdeploy.record.store import TraceStore
from iterdeploy.steps.stops import LARGEST_GAP, Stopped, check_policy
from iterdeploy.types import Policy, Split, Status, Task, Totals, Trace

Cli = Callable[..., Any]
BAD = Status.INVALID


@pytest.fixture
def store(tmp_path: Path) -> Iterator[TraceStore]:
    one = TraceStore(tmp_path / "by-hand.sqlite")
    yield one
    one.close()


def answer(
    task_id: str,
    *,
    logprobs: Sequence[float] | None = (-0.5, -0.25, -0.125),
    temperature: float = 1.0,
    tokens: Sequence[int] | None = None,
    **of_trace: Any,
) -> Trace:
    """A trace by hand; those of the same length have the same plan."""
    one = trace(task_id, **of_trace)
    said = replace(one.completions[0], logprobs=None if logprobs is None else tuple(logprobs))
    if tokens is not None:
        said = replace(said, token_ids=tuple(tokens))
    elif logprobs is not None:
        said = replace(said, token_ids=(said.token_ids * len(logprobs))[: len(logprobs)])
    return replace(
        one, completions=(said,), totals=Totals.of([said]), sampling=replace(one.sampling, temperature=temperature)
    )


def of(store: TraceStore, *traces: Trace, pool: Sequence[Trace] = ()) -> Diversity:
    """The diversity of the newest generation of these traces, which go through a real store."""
    store.add({one.task_id: Task(one.task_id, "d", 2, one.split, "", {}) for one in traces}, traces, {})
    newest = max(one.generation for one in traces)
    found = diversity(
        [one for one in traces if one.generation == newest and one.split is Split.DEPLOYED],
        store.outcomes(Split.DEPLOYED, newest),
        pool,
    )
    assert found is not None
    return found


# plans


def test_distinct_valid_plans_are_counted_per_solved_task_and_over_all_generations(store: TraceStore) -> None:
    found = of(
        store,
        # Before: a had plans of 2 and 4 steps, b one of 2, c and d none.
        answer("a", length=2), answer("a", index=1, length=4),
        answer("b", length=2), answer("b", index=1, status=BAD, length=6),
        answer("c", status=BAD), answer("d", status=BAD),
        # Now: a twice the same and two others, b nothing, c one, d nothing valid.
        *(answer("a", generation=1, index=i, length=n) for i, n in enumerate((2, 2, 6, 8))),
        answer("b", generation=1, status=BAD, length=2), answer("c", generation=1, length=2),
        answer("d", generation=1, status=Status.UNPARSEABLE),
    )  # fmt: skip
    assert found.samples_per_task == 4
    assert found.distinct_plans == fmean([3, 1])  # a, c
    assert found.distinct_plans_so_far == fmean([4, 1, 1])  # a: 2, 4, 6, 8; b; c
    assert found.distinct_per_valid == 4 / 5


def test_the_same_steps_for_two_tasks_are_two_plans(store: TraceStore) -> None:
    assert of(store, answer("a", length=2), answer("b", length=2)).distinct_per_valid == 1.0


def test_a_later_generation_does_not_count_for_an_earlier_one(store: TraceStore) -> None:
    traces = [answer("a", length=2), answer("a", generation=1, length=4)]
    of(store, *traces)
    first = diversity(traces[:1], store.outcomes(Split.DEPLOYED, 0), ())
    assert first is not None and (first.distinct_plans_so_far, first.solved_before) == (1, None)


def test_with_nothing_solved_there_are_no_plans_to_count(store: TraceStore) -> None:
    found = of(store, answer("a", status=BAD), answer("b", status=Status.ERROR))
    assert found.distinct_plans is found.distinct_plans_so_far is found.distinct_per_valid is None
    assert found.ever_solved == 0


def test_without_answers_there_is_no_diversity() -> None:
    assert diversity([], [], []) is None


# tasks lost


def test_coverage_lost_is_of_the_tasks_that_an_earlier_generation_solved(store: TraceStore) -> None:
    found = of(
        store,
        answer("kept"), answer("kept", index=1, status=BAD),
        answer("lost", status=BAD), answer("lost", index=1),
        answer("won", status=BAD), answer("never", status=BAD),
        # Solved in generation 0, lost in 1, and lost still.
        answer("kept", generation=1), answer("lost", generation=1, status=BAD),
        *(answer(name, generation=2, index=i, status=status) for name, statuses in {
            "kept": (BAD, Status.VALID, BAD, BAD), "lost": (BAD, BAD, Status.ERROR, BAD),
            "won": (Status.VALID,) * 4, "never": (BAD,) * 4,
        }.items() for i, status in enumerate(statuses)),
    )  # fmt: skip
    assert found.solved_before == 2
    assert found.lost == 0.5
    assert found.coverage_of_solved_before == fmean([0.25, 0])
    assert found.ever_solved == 0.75


def test_fresh_tasks_cannot_be_lost(store: TraceStore) -> None:
    found = of(store, answer("old"), answer("new", generation=1, status=BAD))
    assert found.solved_before is found.lost is found.coverage_of_solved_before is None
    assert found.ever_solved == 0, "the old task is not one of this generation"


def test_tasks_that_were_asked_before_and_never_solved_cannot_be_lost_either(store: TraceStore) -> None:
    found = of(store, answer("a", status=BAD), answer("a", generation=1))
    assert (found.solved_before, found.lost) == (0, None)


def test_the_other_split_s_outcomes_are_left_out(store: TraceStore) -> None:
    found = of(store, answer("a"), answer("h", split=Split.HELD_OUT), answer("a", generation=1),
               answer("h", generation=1, split=Split.HELD_OUT, status=BAD))  # fmt: skip
    assert (found.solved_before, found.lost) == (1, 0)


def test_histories_hold_one_task_at_a_time(store: TraceStore) -> None:
    """A run may have a million outcomes."""
    of(store, *(answer(name) for name in ("a", "b", "c")))
    taken = []

    def watched() -> Iterator[Any]:
        for one in store.outcomes(Split.DEPLOYED, 0):
            taken.append(one.task_id)
            yield one

    next(histories(watched(), 0))
    assert taken == ["a", "b"]


# copies of the pool


def test_copies_share_task_and_tokens_or_task_and_plan_with_a_trace_of_the_pool(store: TraceStore) -> None:
    pool = [answer("a", length=2, tokens=(1, 2, 3)), answer("b", length=2, tokens=(1, 2, 4)), answer("gone")]
    found = of(
        store,
        answer("a", generation=1, length=2, tokens=(1, 2, 3)),  # the same
        answer("a", generation=1, index=1, length=2, tokens=(9,)),  # the same plan in other words
        answer("a", generation=1, index=2, length=2, tokens=(1, 2, 4)),  # b's words
        answer("b", generation=1, length=4, tokens=(1, 2)),  # another plan
        answer("b", generation=1, index=1, status=BAD, length=2, tokens=(7,)),
        pool=pool,
    )
    assert found.identical_to_pool == 1 / 5
    assert found.valid_plans_from_pool == 3 / 4


def test_a_pool_of_other_tasks_says_nothing(store: TraceStore) -> None:
    found = of(store, answer("a"), pool=[answer("b")])
    assert found.identical_to_pool is found.valid_plans_from_pool is None


# entropy


def test_entropy_of_samples_in_the_exact_proportions_of_a_distribution_is_that_of_the_distribution(
    store: TraceStore,
) -> None:
    """Three answers of probability 1/2, 1/4, 1/4 and of 1, 2, 2 tokens."""
    half, quarter = [math.log(0.5)], [math.log(0.5)] * 2
    found = of(store, *(answer(f"t{i}", logprobs=p) for i, p in enumerate([half, half, quarter, quarter])))
    assert found.cross_entropy is None and found.entropy is not None
    assert found.entropy.per_answer.value == pytest.approx(1.5 * math.log(2))
    assert found.entropy.per_token.value == pytest.approx(math.log(2))
    assert found.entropy.per_token.error == pytest.approx(0, abs=1e-12), "every token has the same"
    assert found.entropy.per_answer.error == pytest.approx(math.log(2) * stdev([1, 1, 2, 2]) / 2)


def test_the_standard_error_takes_a_task_as_one_cluster() -> None:
    """Ten tasks with one sample each say as much as the same ten with every sample four times over."""
    amounts = [Amount(f"t{i}", math.sqrt(i), 1 + i % 3) for i in range(10)]
    once, often = nats(amounts), nats(amounts * 4)
    assert often.per_token.value == pytest.approx(once.per_token.value)
    assert often.per_token.error == pytest.approx(once.per_token.error)
    assert once.per_answer.error == pytest.approx(stdev(one.nats for one in amounts) / math.sqrt(10))


def test_the_error_of_a_ratio_is_that_of_the_textbook_s_residuals() -> None:
    clusters = [(3.0, 2), (1.0, 6), (5.0, 4)]
    residuals = [3 - 0.75 * 2, 1 - 0.75 * 6, 5 - 0.75 * 4]
    assert ratio(clusters) == Estimate(0.75, pytest.approx(stdev(residuals) * math.sqrt(3) / 12))
    assert ratio([(3.0, 2)]) == Estimate(1.5, None)


def test_a_request_without_an_answer_hides_no_entropy_of_the_others(store: TraceStore) -> None:
    nothing = answer("b", logprobs=None, tokens=(), status=Status.ERROR)
    found = of(store, answer("a"), answer("c"), nothing)
    without = of(store, answer("a", generation=1), answer("c", generation=1))
    assert found.entropy == without.entropy is not None
    assert of(store, answer("b", logprobs=None, tokens=(), status=Status.ERROR, generation=2)).entropy is None


def test_at_another_temperature_it_is_not_an_entropy(store: TraceStore) -> None:
    found = of(store, answer("a", temperature=0.6), answer("b", temperature=0.6))
    assert found.entropy is None and found.cross_entropy is not None
    assert found.cross_entropy.per_answer == Estimate(0.875, 0.0)
    assert found.cross_entropy.per_token == Estimate(pytest.approx(0.875 / 3), 0.0)


def test_without_log_probabilities_there_is_no_entropy(store: TraceStore) -> None:
    found = of(store, answer("a"), answer("b", logprobs=None))
    assert found.entropy is found.cross_entropy is None


# distance from generation 0


def moved(first: Sequence[Trace], own: Sequence[Trace], asked: Sequence[Sequence[float]]) -> Drift:
    return drift(first, own, {one.id: values for one, values in zip([*first, *own], asked, strict=True)})


def test_kl_over_answers_in_the_exact_proportions_of_generation_0_is_the_divergence() -> None:
    """p_0 = 1/2, 1/4, 1/4 and p_g = 1/4, 1/4, 1/2: KL = 1/2 log 2 + 0 - 1/4 log 2."""
    then = [math.log(p) for p in (0.5, 0.5, 0.25, 0.25)]
    now = [math.log(p) for p in (0.25, 0.25, 0.25, 0.5)]
    first = [answer(f"t{i}", logprobs=[p]) for i, p in enumerate(then)]
    own = [answer("t0", generation=3, logprobs=[-1.0, -3.0])]
    found = moved(first, own, [*([p] for p in now), [-1.5, -2.5]])
    assert found.answers == 4 and found.dtype == "float32" and found.log_ratio is None and found.kl is not None
    assert found.kl.per_answer.value == pytest.approx(math.log(2) / 4)
    assert found.kl.per_answer.error == pytest.approx(math.log(2) * stdev([1, 1, 0, -1]) / 2)
    assert found.logprob_gap == 0.5, "of absolute values, which do not cancel out"


def test_kl_per_token_is_by_all_tokens_and_the_gap_by_all_of_ones_own() -> None:
    first = [answer("a", logprobs=[-1.0]), answer("b", logprobs=[-1.0, -1.0, -1.0])]
    own = [answer("a", generation=1, logprobs=[-1.0]), answer("b", generation=1, logprobs=[-1.0, -1.0, -1.0])]
    found = moved(first, own, [[-3.0], [-1.0, -2.0, -2.0], [-1.4], [-1.0, -1.0, -1.0]])
    assert found.kl is not None
    assert (found.kl.per_token.value, found.kl.per_answer.value) == (1.0, 2.0)
    assert found.logprob_gap == pytest.approx(0.1)


def test_generation_0_is_where_it_is_and_is_asked_about_its_own_answers_only() -> None:
    own = [answer("a")]
    found = drift([answer("b")], own, {own[0].id: [-0.5, -0.25, -0.625]})
    assert found.kl == Nats(Estimate(0, 0), Estimate(0, 0))
    assert found.logprob_gap == pytest.approx(0.5 / 3)


def test_at_another_temperature_it_is_not_a_divergence() -> None:
    first, own = [answer("a", temperature=0.6)], [answer("a", generation=1, temperature=0.6)]
    found = moved(first, own, [[-0.5] * 3, [-0.5] * 3])
    assert found.kl is None and found.log_ratio is not None
    assert found.log_ratio.per_answer == Estimate(0.625, None)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_gap_above_that_of_the_precision_or_none_at_all_stops_a_run(store: TraceStore, dtype: str) -> None:
    limit = LARGEST_GAP[dtype]
    policy, run = Policy("p", 1, "base", "weights", False, "base", "pool"), run_of(None, store)
    found = Drift(1, dtype, None, None, limit)
    check_policy(None, policy, run)
    check_policy(found, policy, run)
    for gap in (limit * 1.01, math.nan):
        with pytest.raises(Stopped, match=f"at most {limit} in {dtype}.*generation-0/policy") as stopped:
            check_policy(replace(found, logprob_gap=gap), policy, run)
        assert stopped.value.state == "policy_did_not_sample"


# real runs


def test_first_ids_are_the_same_few_in_every_call(finished: Path) -> None:
    run = RunDir.read(finished)
    held_out = sorted(one.id for one in run.store.traces(generation=0, split=Split.HELD_OUT))
    everyone = sorted(one.id for one in run.store.traces(generation=0))
    assert run.store.first_ids(4, generation=0, split=Split.HELD_OUT) == held_out[:4]
    assert run.store.first_ids(100, generation=0) == everyone and len(everyone) == TINY_ANSWERS
    run.close()


def test_every_generation_of_a_run_has_all_numbers_and_they_are_those_of_its_traces(finished: Path) -> None:
    run = RunDir.read(finished)
    for generation, metrics in enumerate(run.metrics()):
        for split in Split:
            found = metrics.diversity[split.value]
            assert found is not None and found.entropy is not None
            answers = list(run.store.traces(generation=generation, split=split))
            surprise = [-math.fsum(one.completions[0].logprobs or ()) for one in answers]
            tokens = [len(one.completions[0].token_ids) for one in answers]
            assert found.entropy.per_answer.value == pytest.approx(fmean(surprise))
            assert found.entropy.per_token.value == pytest.approx(sum(surprise) / sum(tokens))
            assert (found.entropy.per_token.error or 0) > 0 and found.cross_entropy is None
            so_far = [one for one in run.store.traces(up_to=generation, split=split) if one.valid]
            plans = {(one.task_id, plan_of(one.verdict)) for one in so_far}
            assert found.distinct_plans_so_far == pytest.approx(len(plans) / len({task for task, _ in plans}))
            assert found.samples_per_task == (2 if split is Split.DEPLOYED else 1)
            solved = {one.task_id for one in so_far if one.generation == generation}
            before = {one.task_id for one in so_far if one.generation < generation}
            if generation:
                assert found.solved_before == len(before) > 0
                assert found.lost == len(before - solved) / len(before)
        pool = run.pool(generation - 1) if generation else None
        deployed_to, held_out = metrics.diversity["deployed"], metrics.diversity["held_out"]
        assert deployed_to is not None and held_out is not None
        copies = deployed_to.identical_to_pool
        assert held_out.identical_to_pool is None, "they never train"
        if pool is None:
            assert copies is None
            continue
        known = {(one.task_id, one.completions[0].token_ids) for one in run.store.each(pool.weights)}
        deployed = run.store.traces(generation=generation, split=Split.DEPLOYED)
        assert copies == fmean((one.task_id, one.completions[0].token_ids) in known for one in deployed)
        assert 0 < copies <= (deployed_to.valid_plans_from_pool or 0) <= 1
    run.close()


def test_the_distance_from_generation_0_is_measured_and_the_policy_is_the_one_that_sampled(finished: Path) -> None:
    run = RunDir.read(finished)
    drifts = [one.drift for one in run.metrics() if one.drift is not None]
    run.close()
    assert [one.answers for one in drifts] == [6] * 3, "all of the held-out ones"
    assert all(one.logprob_gap < 1e-4 for one in drifts)
    assert drifts[0].kl is not None and drifts[0].kl.per_answer == Estimate(0, 0)
    for one in drifts[1:]:
        assert one.kl is not None and one.kl.per_token.value > 0.001
        assert (one.kl.per_answer.error or 0) > 0


def test_a_policy_that_is_not_the_one_that_sampled_stops_the_run_until_it_is_put_back(
    run_cli: Cli, finished: Path, finished_copy: Path
) -> None:
    """Generation 1 has answered when the weights in its folder become those of the base model."""
    for name in ("generation-1", "generation-2"):
        shutil.rmtree(finished_copy / name)
    weights = finished_copy / "generation-0" / "policy" / "model.safetensors"
    shutil.copy(embedded_models()[MODEL] / "model.safetensors", weights)
    as_version_1(finished_copy)
    resume = ("resume", "tiny", "--runs-dir", finished_copy.parent)
    told = run_cli(*resume, check_exit=3).stderr
    assert "stopped (policy_did_not_sample): generation 1: " in told and "generation-0/policy" in told
    status = json.loads(run_cli("status", "tiny", "--json", "--runs-dir", finished_copy.parent).stdout)
    assert status["state"] == "policy_did_not_sample"
    assert sum(status["counts"]["blocksworld"].values()) == TINY_ANSWERS
    assert not (finished_copy / "generation-1" / "metrics.json").exists()
    shutil.copy(finished / "generation-0" / "policy" / "model.safetensors", weights)
    run_cli(*resume)
    for name in ("generation-1/metrics.json", "generation-2/metrics.json"):
        expected = {key: value for key, value in read_json(finished / name).items() if key != "seal"}
        assert {key: value for key, value in read_json(finished_copy / name).items() if key != "seal"} == expected


def test_a_run_from_before_there_was_diversity_can_still_be_read(run_cli: Cli, finished_copy: Path) -> None:
    for path in finished_copy.glob("generation-*/metrics.json"):
        old = {key: value for key, value in read_json(path).items() if key not in ("diversity", "drift", "seal")}
        path.write_text(json.dumps(old))
    for options in ((), ("--json",)):
        assert run_cli("status", "tiny", *options, "--runs-dir", finished_copy.parent).stdout
    status = json.loads(run_cli("status", "tiny", "--json", "--runs-dir", finished_copy.parent).stdout)
    assert [(one["diversity"], one["drift"]) for one in status["generations"]] == [(None, None)] * 3
