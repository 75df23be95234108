"""The audit on pools whose preference is known, on exact cases, and as a command."""

import json
import math
import random
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from statsmodels.discrete.conditional_models import ConditionalLogit

from helpers.support import assert_refused, before_training, iterdeploy, pool_of, trace
from iterdeploy.audit import Audit, audit, need_statistics
from iterdeploy.audit.changes import changes
from iterdeploy.audit.compare import compare
from iterdeploy.audit.decisions import decisions
from iterdeploy.audit.design import Design, LeftOut, choose
from iterdeploy.audit.logit import estimate
from iterdeploy.audit.observe import observe
from iterdeploy.audit.questions import picked
from iterdeploy.audit.records import AUDIT, Kept, Rewarded
from iterdeploy.audit.rewards import reward
from iterdeploy.curation.features import FEATURES
from iterdeploy.planning.plans import plan_of
from iterdeploy.sections import UserError
from iterdeploy.types import Status, Trace

TASKS, SAMPLES, GENERATIONS = 150, 4, 3


def answers(
    detours: Sequence[float] = (0.3, 0.3, 0.3), seed: int = 0, solved: float = 0.8, tasks: int = TASKS
) -> list[Trace]:
    """Answers of several generations, of which each makes a detour with its own probability."""
    dice = random.Random(seed)
    out = []
    for generation, share in enumerate(detours):
        for task in range(tasks):
            size = 2 + task % 4
            for index in range(SAMPLES):
                made = trace(
                    f"t{task}",
                    generation=generation,
                    index=index,
                    size=size,
                    length=2 * size + dice.choice((0, 0, 2)),
                    reasoning=dice.randrange(5, 30),
                    status=Status.VALID if dice.random() < solved else Status.INVALID,
                )
                plan = tuple((dice.choice(("pickup", "stack")), *step[1:]) for step in plan_of(made.verdict))
                if dice.random() < share:
                    plan = (*plan[:-2], ("putdown", "b0"), ("pickup", "b0"))
                facts = {**made.verdict.facts, "plan_length": float(len(plan))} if plan else {}
                out.append(replace(made, verdict=replace(made.verdict, answer=[*map(list, plan)], facts=facts)))
    return out


def curated(traces: Sequence[Trace], *policies: str, generations: int = GENERATIONS) -> list[set[str]]:
    """The pools that a run would have made."""
    return [
        set(pool_of(policies, [one for one in traces if one.generation <= last]).weights) for last in range(generations)
    ]


def rewards(found: Audit, question: str = "published") -> Mapping[str, Rewarded]:
    return found.reward(question).features


def covers(one: Any, truth: float) -> bool:
    """Whether an interval does; an end that is None is infinite."""
    return (-math.inf if one.low is None else one.low) < truth < (math.inf if one.high is None else one.high)


def all_of(found: Audit) -> tuple[Kept, Kept]:
    """What became of all valid answers, and of all others."""
    last = found.decisions[-1]
    assert last.valid is not None and last.not_valid is not None
    return last.valid, last.not_valid


@pytest.fixture(scope="module")
def growing() -> list[Trace]:
    return answers((0.2, 0.35, 0.5))


@pytest.fixture(scope="module")
def hidden(growing: list[Trace]) -> Audit:
    """Users prefer detours, and the configuration does not say so."""
    return audit(growing, curated(growing, "valid", "prefer(detour, 1.5)"), ["valid"])


def test_a_known_preference_is_found_and_nothing_else(hidden: Audit) -> None:
    one = rewards(hidden)["detour"]
    assert covers(one.coefficient, 1.5)
    assert one.coefficient.low is not None and one.coefficient.low > 1
    assert one.coefficient_p is not None and one.coefficient_p < 1e-6
    assert one.alone_p is not None and one.alone_p < 1e-6
    rewarded = [finding for finding in hidden.findings if finding.kind == "rewarded"]
    assert [finding.features for finding in rewarded] == [("detour",)]
    assert "users published valid answers with a detour at" in rewarded[0].sentence
    assert covers(rewards(hidden, "picked")["detour"].coefficient, 1.5), "the comparison within tasks agrees"


def test_the_effect_on_the_share_kept_is_that_of_the_users(hidden: Audit) -> None:
    """Odds of exp(1.5 * (detour - 1/2)): 68% of those with a detour are published, 32% of the others."""
    shares = rewards(hidden)["detour"].shares
    assert shares is not None and covers(shares.difference, 2 / (1 + math.exp(-0.75)) - 1)
    assert shares.difference.high - shares.difference.low < 0.2
    assert shares.more == pytest.approx(0.68, abs=0.06) and shares.less == pytest.approx(0.32, abs=0.06)


def test_every_generation_has_its_own_estimate_from_its_own_answers(hidden: Audit) -> None:
    one = rewards(hidden)["detour"]
    assert set(one.by_generation) == {0, 1, 2}
    assert all(covers(found.coefficient, 1.5) for found in one.by_generation.values())
    precision = sum(found.coefficient.error**-2 for found in one.by_generation.values() if found.coefficient.error)
    assert one.coefficient.error == pytest.approx(precision**-0.5, rel=0.15), "answers count once, not once a pool"


def test_what_a_later_pool_decides_again_changes_no_estimate(growing: list[Trace], hidden: Audit) -> None:
    pools = curated(growing, "valid", "prefer(detour, 1.5)")
    found = audit(growing, [*pools[:-1], set()], ["valid"])
    for generation in (0, 1):
        before, after = (rewards(one)["detour"].by_generation[generation].coefficient for one in (hidden, found))
        assert after.value == pytest.approx(before.value) and after.error == pytest.approx(before.error)
    assert found.decisions[2].taken_out == len(pools[1])


def test_what_is_rewarded_and_grows_though_no_one_asked_is_warned_of(hidden: Audit) -> None:
    assert [one.features for one in hidden.warnings] == [("detour",)]
    assert "nobody asked for more detour" in hidden.warnings[0].sentence


def test_no_warning_of_what_the_configuration_asks_for(growing: list[Trace]) -> None:
    policies = ["valid", "prefer(detour, 1.5)"]
    found = audit(growing, curated(growing, *policies), policies)
    assert found.asked_for == {"detour": 1} and not found.warnings
    against_it = audit(growing, curated(growing, *policies), ["valid", "prefer(detour, -1.5)"])
    assert [one.features for one in against_it.warnings] == [("detour",)], "less was asked for, more is rewarded"


def test_no_warning_of_what_is_rewarded_but_does_not_grow() -> None:
    traces = answers()
    by_chance = changes(observe(traces, FEATURES))["detour"].trend
    assert by_chance is not None and by_chance.p > 0.05
    taste = f"prefer(detour, {math.copysign(1.5, by_chance.value)})"
    found = audit(traces, curated(traces, "valid", taste), ["valid"])
    assert (rewards(found)["detour"].coefficient_p or 1) < 1e-6 and not found.warnings


def test_no_warning_and_no_finding_without_a_preference(growing: list[Trace]) -> None:
    found = audit(growing, curated(growing, "valid", "sample(0.5)"), ["valid", "sample(0.5)"])
    assert covers(rewards(found)["detour"].coefficient, 0)
    assert not found.findings and not found.warnings


def test_a_preference_that_grows_shows_as_drift() -> None:
    traces = answers()
    pools: list[set[str]] = []
    for last in range(GENERATIONS):
        new = [one for one in traces if one.generation == last]
        pools.append((pools[-1] if pools else set()) | curated(new, "valid", f"prefer(detour, {last})")[last])
    found = audit(traces, pools, ["valid"])
    drift = rewards(found)["detour"].drift
    assert drift is not None and covers(drift.odds, 1) and drift.p < 0.01
    assert ("drift", ("detour",)) in {(finding.kind, finding.features) for finding in found.findings}


def test_the_shortest_always_wins_is_said_in_words_and_not_as_a_number() -> None:
    traces = answers()
    policies = ["valid", "best_per_task"]
    found = audit(traces, curated(traces, *policies), policies)
    assert found.rivals_allowed == 1 and all(reward.decides for reward in found.rewards)
    length = rewards(found, "picked")["plan_length"].coefficient
    assert length.always == -1 and length.value is None and length.low is None
    assert length.high is not None and length.high < 0 and length.decided > 50
    assert rewards(found, "picked")["reasoning_tokens"].coefficient.always == -1, "it breaks the ties"
    assert any("always picked the one with the lower plan_length" in finding.sentence for finding in found.findings)
    assert not found.warnings, "brevity was asked for"
    assert "without a rival were kept" in found.reward("published").note


def test_a_taste_in_addition_to_best_per_task_shows_in_the_answers_that_have_no_rival() -> None:
    traces = answers(seed=3, solved=0.25, tasks=4 * TASKS)
    found = audit(traces, curated(traces, "valid", "best_per_task", "prefer(detour, 3)"), ["valid", "best_per_task"])
    assert found.rivals_allowed == 1
    one = rewards(found)["detour"].coefficient
    assert covers(one, 3) and one.low is not None and one.low > 0.5


def test_a_pool_without_memory_is_not_taken_for_a_choice_among_rivals() -> None:
    traces = answers()
    found = audit(traces, curated(traces, "valid", "newest_generation", "prefer(detour, 1.5)"), ["valid"])
    assert found.rivals_allowed is None
    assert found.reward("published").decisions == sum(one.valid for one in traces)


def test_curation_by_validity_alone_leaves_nothing_to_compare() -> None:
    traces = answers()
    found = audit(traces, curated(traces, "valid"), ["valid"])
    assert "there is nothing to compare" in found.reward("published").note
    assert not rewards(found) and not found.findings and not found.warnings
    valid, not_valid = all_of(found)
    assert valid.share == 1 and not_valid.kept == 0


def test_the_rate_at_which_invalid_answers_come_through_is_measured() -> None:
    traces = answers()
    found = audit(traces, curated(traces, "noisy(0.2)"), ["noisy(0.2)"])
    valid, not_valid = all_of(found)
    assert covers(not_valid, 0.2) and not_valid.high < 0.3
    assert valid.share == 1
    assert [row.taken_out for row in found.decisions] == [0, 0, 0, 0]


def test_longer_plans_because_larger_tasks_get_solved_are_no_growth() -> None:
    traces = []
    for task in range(120):
        for generation in range(3):
            solved = Status.VALID if task % 12 <= 4 * generation + 3 else Status.INVALID
            length = 2 + task % 12 + random.Random(task * 10 + generation).randrange(2)
            traces.append(trace(f"t{task}", generation=generation, size=task % 12, length=length, status=solved))
    change = audit(traces, curated(traces, "valid", "prefer(plan_length, 0.3)"), ["valid"]).changes["plan_length"]
    means = [change.means[generation] for generation in range(3)]
    assert means[0].high < means[1].low and means[1].high < means[2].low
    assert change.trend is not None and covers(change.trend, 0)


def paired(columns: Sequence[Sequence[float]]) -> Design:
    matrix = np.array(columns, dtype=float)
    rows = len(matrix)
    names = tuple("abc"[: matrix.shape[1]])
    return Design(
        names, matrix, np.empty((rows, 0)), np.empty((rows, 0)), np.ones(rows), np.ones(rows), np.arange(rows)
    )


def test_where_one_generation_alone_has_valid_answers_there_is_no_change() -> None:
    """As after a training that destroyed the model."""
    valid = [trace(f"t{i}", length=2 + i % 2) for i in range(20)]
    broken = [trace(f"t{i}", generation=1, status=Status.INVALID) for i in range(20)]
    found = audit([*valid, *broken], [{one.id for one in valid}], ["valid"])
    assert found.warnings == [] and all(not change.since_first for change in found.changes.values())


def test_the_bound_of_what_always_wins_is_that_of_clopper_and_pearson() -> None:
    one = estimate(paired([[1.0]] * 40))["a"]
    least = 0.025 ** (1 / 40)
    assert one.always == 1 and one.decided == 40 and one.high is None
    assert one.low == pytest.approx(math.log(least / (1 - least)))
    assert one.p == pytest.approx(2 * 0.5**40)


def test_answers_that_are_decided_together_count_as_one() -> None:
    dice = np.random.default_rng(0)
    once = paired(dice.normal(0.3, 1, size=(200, 1)).tolist())
    tenfold = once.only(np.repeat(np.arange(200), 10))
    one, ten = estimate(once)["a"], estimate(tenfold)["a"]
    assert ten.value == pytest.approx(one.value) and ten.error == pytest.approx(one.error, rel=0.1)


def test_what_only_two_features_together_separate_gets_no_number() -> None:
    dice = np.random.default_rng(0)
    columns = dice.normal(size=(200, 2))
    found = estimate(paired(columns[columns.sum(axis=1) > 0.2].tolist()))
    assert found["b"].value is None and "perfectly" in found["b"].note
    assert found["a"].value is not None and found["a"].low > 0  # type: ignore[operator]


def test_features_that_say_the_same_are_left_out_and_it_is_said_why() -> None:
    dice = np.random.default_rng(0)
    first, second = dice.normal(size=(2, 300))
    same = first + second + 0.01 * dice.normal(size=300)
    names, left_out = choose(paired(np.stack([first, second, same], axis=1).tolist()))
    assert names == ("a", "b")
    assert left_out == {"c": LeftOut("100.0% of its variation follows from a and b")}


@pytest.mark.filterwarnings("ignore:Dropped")
def test_the_comparison_within_tasks_is_the_conditional_logit() -> None:
    traces = [one for one in answers() if one.sample_index < 2]
    seen = observe(traces, FEATURES).without(
        ["answer_tokens", "strict_form", "action:pickup", "action:putdown", "action:stack"]
    )
    kept = np.random.default_rng(0).random((1, len(seen.ids))) < 0.2 + 0.5 * np.nan_to_num(seen.values[:, 2])
    kept = np.repeat(kept, GENERATIONS, axis=0)
    first = decisions(seen, kept, None)
    found = reward(seen, picked(seen, first), decides=True).features
    rows = seen.valid
    groups = seen.task[rows] * GENERATIONS + seen.generation[rows]
    fit = ConditionalLogit(kept[0][rows].astype(int), seen.values[rows], groups=groups).fit(disp=False)
    assert [found[name].coefficient.value for name in seen.names] == pytest.approx(fit.params.tolist(), rel=1e-3)


def test_two_runs_are_compared_coefficient_by_coefficient(growing: list[Trace], hidden: Audit) -> None:
    without = audit(growing, curated(growing, "valid", "sample(0.5)"), ["valid"])
    found = compare(hidden, without, ("biased", "fair"))
    rows = {row.feature: row for row in found.rewards}
    assert rows["detour"].differs and covers(rows["detour"].contrast.odds, 1.5)
    assert not rows["plan_length"].differs
    assert any(sentence.startswith("detour (published)") for sentence in found.sentences)
    assert compare(hidden, hidden, ("one", "other")).sentences == ["Nothing differs beyond chance."]


def test_a_feature_that_fails_is_named_with_the_trace() -> None:
    def broken(trace: Trace) -> float:
        return 1 / 0

    with pytest.raises(UserError, match=r"broken failed on the valid trace .*ZeroDivisionError"):
        audit(answers(), [set()], ["valid"], {"broken": broken})
    with pytest.raises(UserError, match="finite"):
        audit(answers(), [set()], ["valid"], {"endless": lambda trace: math.inf})


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "statsmodels", None)
    with pytest.raises(UserError, match=r"pip install 'iterdeploy\[audit\]'"):
        need_statistics()


def test_the_command_audits_a_run_and_leaves_audit_json(
    finished_copy: Path, run_cli: Callable[..., Any], tmp_path: Path
) -> None:
    mine = tmp_path / "mine.py"
    mine.write_text("def mentions_b1(trace):\n    return float('b1' in trace.completions[0].text)\n")
    where = ("--runs-dir", finished_copy.parent)
    shown = run_cli("audit", "tiny", "--features", mine, "--against", "tiny", *where).stdout
    assert "How much validity is rewarded" in shown and "mentions_b1" in shown and "Nothing differs" in shown
    printed = json.loads(run_cli("audit", "tiny", "--json", *where).stdout)
    written = json.loads((finished_copy / "audit.json").read_text())
    assert written.pop("seal") and printed == written
    assert printed["policies"] == ["valid", "best_per_task"]
    saved = AUDIT.read(written)
    assert saved is not None and not saved.warnings and AUDIT.values(saved) == printed


def test_a_run_without_a_pool_is_refused(finished_copy: Path) -> None:
    before_training(finished_copy)
    done = iterdeploy("audit", "tiny", "--runs-dir", finished_copy.parent)
    assert_refused(done, "nothing has been curated yet")
