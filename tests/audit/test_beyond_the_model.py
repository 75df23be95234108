"""Where the fitted model is wrong: what nobody measures, what cannot be told apart, what is looked at several times."""

import random
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from audit.test_audit import answers, covers
from iterdeploy.audit import audit_observed
from iterdeploy.audit.heritability import heritability
from iterdeploy.audit.looks import looks, spent
from iterdeploy.audit.observe import Observations, observe
from iterdeploy.curation.features import FEATURES

Array = npt.NDArray[Any]


def logistic(log_odds: Array) -> Array:
    return 1 / (1 + np.exp(-log_odds))


def keep(seen: Observations, chance: Array, seed: int = 0) -> Array:
    """(G, R): each valid answer kept once and for all with its chance."""
    kept = (np.random.default_rng(seed).random(len(chance)) < chance) & seen.valid & seen.deployed
    return np.stack([kept & (seen.generation <= last) for last in range(int(seen.generation.max()) + 1)])


@pytest.fixture(scope="module")
def seen() -> Observations:
    return observe(answers((0.3, 0.3, 0.3), tasks=450), FEATURES)


def detours(seen: Observations) -> Array:
    return np.asarray(np.nan_to_num(seen.values[:, seen.names.index("detour")]))


def test_a_taste_that_is_not_measured_shrinks_odds_and_leaves_shares(seen: Observations) -> None:
    unmeasured = np.random.default_rng(5).random(len(seen.ids)) < 0.5
    odds = 3 * (detours(seen) - 0.5) + 6 * (unmeasured - 0.5)
    one = audit_observed(seen, keep(seen, logistic(odds)), ["valid"]).reward("published").features["detour"]
    truth = np.mean([logistic(np.array(1.5 + 3 * s)) - logistic(np.array(-1.5 + 3 * s)) for s in (-1, 1)])
    assert one.coefficient.high is not None and one.coefficient.high < 3
    assert one.shares is not None and covers(one.shares.difference, float(truth))


@pytest.mark.parametrize("centre", [-0.5, 0.0, 0.5])
def test_a_constant_taste_does_not_drift_when_another_one_becomes_common(seen: Observations, centre: float) -> None:
    prevalence = np.array([0.02, 0.25, 0.5])[seen.generation]
    unmeasured = np.random.default_rng(6).random(len(seen.ids)) < prevalence
    chance = logistic(3 * (detours(seen) - 0.5) + 5 * (unmeasured - 0.5 + centre))
    found = audit_observed(seen, keep(seen, chance), ["valid"])
    drift = found.reward("published").features["detour"].drift
    assert drift is not None and drift.p > 0.05
    assert not any(one.kind == "drift" for one in found.findings)


def test_a_taste_that_grows_drifts(seen: Observations) -> None:
    chance = logistic(1.0 * seen.generation * (detours(seen) - 0.5))
    found = audit_observed(seen, keep(seen, chance), ["valid"])
    assert [one.features for one in found.findings if one.kind == "drift"] == [("detour",)]


def test_the_rewarded_feature_is_named_when_it_cannot_be_told_apart(seen: Observations) -> None:
    """A twin that nearly always says the same as the rewarded marker, and takes its place in the model."""
    twin = np.where(np.random.default_rng(7).random(len(seen.ids)) < 0.01, 1 - detours(seen), detours(seen))
    both = replace(seen, names=("twin", *seen.names), values=np.column_stack([twin, seen.values]))
    both.values[~seen.valid] = np.nan
    found = audit_observed(both, keep(both, logistic(3 * (detours(seen) - 0.5))), ["valid"])
    (group,) = [one for one in found.findings if one.kind == "together"]
    assert group.features == ("twin", "detour") and group.p < 1e-6
    assert not any(one.kind == "rewarded" and set(one.features) & {"twin", "detour"} for one in found.findings)


def test_a_preference_in_some_seventy_answers_is_found(seen: Observations) -> None:
    some = np.flatnonzero(seen.valid & seen.deployed)[::58]
    few = replace(
        seen,
        ids=tuple(seen.ids[row] for row in some),
        **{
            name: getattr(seen, name)[some]
            for name in ("values", "task", "domain", "size", "generation", "deployed", "valid")
        },
    )
    assert 60 < len(few.ids) < 90
    found = audit_observed(few, keep(few, logistic(4 * (detours(few) - 0.5))), ["valid"])
    assert any("detour" in one.features for one in found.findings)


def test_looks_spend_five_percent_in_all() -> None:
    for planned in (1, 3, 5, 20):
        assert sum(spent(look, planned) for look in range(1, planned + 1)) == pytest.approx(0.05)


def test_each_look_is_at_all_decisions_so_far_and_a_strong_taste_is_an_early_alarm(seen: Observations) -> None:
    kept = keep(seen, logistic(3 * (detours(seen) - 0.5)))
    found = looks(seen, kept, {}, planned=5)
    assert [look.level for look in found] == [spent(1, 5), spent(2, 5), spent(3, 5)]
    assert found[0].decisions < found[1].decisions < found[2].decisions
    assert all(look.alarm and look.features == ("detour",) for look in found)
    assert not any(look.alarm for look in looks(seen, kept, {"detour": 1})), "it was asked for"
    assert not any(look.alarm for look in looks(seen, keep(seen, np.full(len(seen.ids), 0.4)), {}))


def inheriting(share: float, taste: float = 2.0) -> tuple[Observations, Array]:
    """Answers of which the next generation takes over a share of what was selected; which pools kept which."""
    dice, prevalence, traces, pools = random.Random(3), 0.3, [], []
    for generation in range(3):
        new = [replace(one, generation=generation) for one in answers((prevalence,), seed=generation, tasks=1500)]
        traces += [replace(one, id=f"{generation}{one.id}") for one in new]
        valid = [one for one in new if one.valid]
        chosen = [one for one in valid if dice.random() < 1 / (1 + np.exp(-taste * (FEATURES["detour"](one) - 0.5)))]
        pools.append({f"{generation}{one.id}" for one in chosen})
        rates = [float(np.mean([FEATURES["detour"](one) for one in some])) for some in (chosen, valid)]
        prevalence += share * (rates[0] - rates[1])
    seen = observe(traces, FEATURES)
    return seen, np.array([[name in pool for name in seen.ids] for pool in pools[:2]])


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_the_share_of_what_was_selected_that_arrives_is_measured(share: float) -> None:
    found = heritability(*inheriting(share), None)["detour"]
    assert found.realised is not None and covers(found.realised, share)
    assert found.realised.high - found.realised.low < 0.5
    assert len(found.by_generation) == 2 and found.selected.low > 0


def test_without_selection_there_is_no_heritability(seen: Observations) -> None:
    found = heritability(seen, keep(seen, np.full(len(seen.ids), 0.5)), None)
    assert found["detour"].realised is None and covers(found["detour"].selected, 0)
