"""VAL as an oracle, played by a small script that judges with the naive validator and writes what VAL would write."""

import sys
from functools import partial

import pytest

from helpers.fake_val import install
from iterdeploy.pddl import Status
from iterdeploy.pddl.val import _clean, _cost, find_val, validate_with_both, validate_with_val

DOMAIN = """
(define (domain Doors) ; VAL wants all parts of an action, in its order, behind the other sections
  (:action open-it :parameters (?d) :effect (open ?d))
  (:action leave :effect (not (here ?d)) :parameters (?d) :precondition (open ?d))
  (:action nod :effect ())
  (:action wait)
  (:predicates (open ?d) (here ?x) (odd)))
"""
PROBLEM = "(define (problem p) (:domain doors) (:objects front back) (:init (here front)) (:goal (open FRONT)))"


pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the fake VAL is a script with a shebang")


@pytest.fixture
def val(tmp_path):
    return partial(install, tmp_path)


def test_a_valid_plan(val):
    plan = [("open-it", "front"), ("nod",), ("leave", "front"), ("wait",)]
    verdict = validate_with_val(DOMAIN, PROBLEM, plan, val())
    assert (verdict.status, verdict.reason, verdict.cost) == (Status.VALID, "", 4)
    assert verdict.plan == tuple(plan)
    assert validate_with_both(DOMAIN, PROBLEM, plan, val()).cost == 4


@pytest.mark.parametrize(
    ("steps", "reason"),
    [
        ([("leave", "front")], "VAL: Plan failed to execute"),
        ([("open-it", "back")], "VAL: Goal not satisfied"),
        ([], "VAL: Goal not satisfied"),
    ],
)
def test_an_invalid_plan(val, steps, reason):
    verdict = validate_with_val(DOMAIN, PROBLEM, steps, val())
    assert (verdict.status, verdict.reason) == (Status.INVALID, reason)


@pytest.mark.parametrize(
    ("step", "reason"),
    [
        (("open-it",), "step 2 (open-it): open-it takes 1 objects, not 0"),
        (("open-it", "front", "back"), "step 2 (open-it front back): open-it takes 1 objects, not 2"),
        (("open-it", "side"), "step 2 (open-it side): side is not an object of this problem"),
        (("close", "front"), "step 2 (close front): there is no such action"),
        ((), "step 2 (): there is no such action"),
    ],
)
def test_what_would_crash_or_mislead_val_never_reaches_it(val, step, reason):
    verdict = validate_with_val(DOMAIN, PROBLEM, [("open-it", "front"), step], val("crash"))
    assert (verdict.status, verdict.failed_step, verdict.reason) == (Status.INVALID, 2, reason)


@pytest.mark.parametrize(
    ("mood", "reason"),
    [
        ("crash", "VAL crashed with signal 11"),
        ("hang", "VAL gave no verdict within 0.5 seconds"),
        ("grumble", "VAL gave no verdict: Problem in domain definition!"),
    ],
)
def test_no_verdict_is_an_error(val, mood, reason):
    verdict = validate_with_val(
        DOMAIN, PROBLEM, [("open-it", "front")], val(mood), timeout=0.5 if mood == "hang" else 60
    )
    assert (verdict.status, verdict.reason) == (Status.ERROR, reason)


def test_texts_that_are_no_pddl_and_very_long_plans_are_errors(val):
    assert validate_with_val("(define", PROBLEM, [], val()).status is Status.ERROR
    assert validate_with_val(DOMAIN, PROBLEM, [("open-it", "front")] * 10_000, val()).status is Status.ERROR


def test_both_agree(val):
    verdict = validate_with_both(DOMAIN, PROBLEM, [("leave", "front")], val())
    assert (verdict.status, verdict.failed_step, verdict.unmet) == (Status.INVALID, 1, ("(open front)",))
    assert validate_with_both(DOMAIN, PROBLEM, [("open-it", "front")], val()).cost == 1


def test_both_disagree(val):
    verdict = validate_with_both(DOMAIN, PROBLEM, [("open-it", "front")], val("contrary"))
    assert verdict.status is Status.ERROR
    assert verdict.reason == "the validators disagree. ours: valid; VAL: invalid VAL: Goal not satisfied"


@pytest.mark.parametrize(
    ("mood", "reason"),
    [("crash", "VAL crashed with signal 11"), ("grumble", "VAL gave no verdict: Problem in domain definition!")],
)
def test_where_val_gives_no_verdict_there_is_no_disagreement(val, mood, reason):
    verdict = validate_with_both(DOMAIN, PROBLEM, [("open-it", "front")], val(mood))
    assert (verdict.status, verdict.reason) == (Status.ERROR, f"{reason} (ours: valid)")
    verdict = validate_with_both(DOMAIN, PROBLEM, [], val(mood))
    assert verdict.reason == f"{reason} (ours: invalid goal not reached: (open front) does not hold)"


def test_a_faulty_action_is_not_put_right_for_val(val):
    faulty = DOMAIN.replace("(:action wait)", "(:action wait :effect (odd) :effect (odd))")
    assert validate_with_val(faulty, PROBLEM, [], val()).status is Status.ERROR


def test_both_need_a_domain_that_both_support(val):
    verdict = validate_with_both(DOMAIN.replace("(:action", "(:process odd) (:action", 1), PROBLEM, [], val())
    assert (verdict.status, verdict.reason[:34]) == (Status.ERROR, "not supported: processes (:process")


def test_val_is_found_by_argument_environment_and_path(val, monkeypatch, tmp_path):
    path = val(name="VAL")
    monkeypatch.delenv("ITERDEPLOY_VAL", raising=False)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ValueError, match="VAL not found: none of Validate, validate, VAL is on PATH"):
        find_val()
    assert find_val(path) == str(path)
    with pytest.raises(ValueError, match="nowhere is not a program"):
        find_val("nowhere")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_val() == str(path)
    monkeypatch.setenv("ITERDEPLOY_VAL", str(val(name="another")))
    assert find_val() == str(tmp_path / "another")


def test_updates_that_stand_alone_are_written_as_val_reads_them():
    """VAL reads an update only within `(and ...)`, and no `(and)` of nothing as a precondition."""
    text = """(define (domain d) (:requirements :numeric-fluents) (:functions (f ?x) (g))
      (:action a :parameters (?x) :precondition (and) :effect (increase (f ?x) 1))
      (:action b :parameters () :effect (forall (?y) (when (> (g) 1) (assign (f ?y) (* 2 (g))))))
      (:action c :parameters () :effect (and (assign (g) 1) (forall (?y) (increase (f ?y) 1)))))"""
    cleaned = _clean(text)
    assert ":precondition () :effect (and (increase (f ?x) 1))" in cleaned
    assert ":effect (forall (?y) (when (> (g) 1) (and (assign (f ?y) (* 2 (g))))))" in cleaned
    assert ":effect (and (assign (g) 1) (forall (?y) (and (increase (f ?y) 1))))" in cleaned


@pytest.mark.parametrize(
    ("said", "cost"), [("3", 3), ("0.5", 0.5), ("1e+06", 1000000), ("-2.5e-05", -2.5e-05), ("inf", None)]
)
def test_the_final_value_is_read_in_every_form(said, cost):
    assert _cost(f"Plan valid\nFinal value: {said} \n") == cost
