"""Numeric fluents: what is computed, when an action can be taken, what contradicts, and what has no value."""

from dataclasses import dataclass, replace
from fractions import Fraction

import pytest

from iterdeploy.pddl import Domain, Problem, Status, Verdict, validate

TANKS = """
(define (domain tanks)
  (:requirements :typing :numeric-fluents :conditional-effects)
  (:types tank)
  (:constants a b - tank)
  (:predicates (full ?t - tank) (clean))
  (:functions (level ?t - tank) (size ?t - tank) (spilt) (rate))
  {})
"""


@dataclass(frozen=True)
class Tanks:
    """Judges a plan of actions that are written out here, in a problem of two tanks."""

    actions: str
    init: str = "(= (level a) 0) (= (level b) 2.5) (= (size a) 3) (= (size b) 3) (= (spilt) 0)"
    goal: str = "(and)"
    metric: str = ""

    def judge(self, plan: str) -> Verdict:
        domain = Domain.parse(TANKS.format(self.actions))
        text = f"""(define (problem p) (:domain tanks)
            (:init {self.init}) (:goal {self.goal}) {self.metric})"""
        return validate(domain, Problem.parse(text, domain), plan)


def effect(text: str, goal: str = "(and)", **changes: str) -> Verdict:
    return replace(Tanks(f"(:action act :effect {text})", goal=goal), **changes).judge("(act)")


@pytest.mark.parametrize(
    ("update", "level"),
    [
        ("(assign (level b) 4)", "4"),
        ("(increase (level b) 0.1)", "2.6"),
        ("(decrease (level b) 3)", "-0.5"),
        ("(scale-up (level b) -2)", "-5"),
        ("(scale-down (level b) 4)", "0.625"),
        ("(assign (level b) (+ (size a) (* 2 (size b)) 1))", "10"),
        ("(assign (level b) (- (/ (size a) 4)))", "-0.75"),
        ("(assign (level b) (- (level b) (- 1 2)))", "3.5"),
        ("(assign (level b) spilt)", "0"),
        ("(forall (?t - tank) (increase (level b) (size ?t)))", "8.5"),
        ("(when (> (level b) 2) (increase (level b) 1))", "3.5"),
        ("(when (> (level b) 3) (increase (level b) 1))", "2.5"),
        ("(and (increase (level b) 1) (decrease (level b) 3))", "0.5"),
    ],
)
def test_updates(update, level):
    assert effect(update, f"(= (level b) {level})").valid
    assert effect(update, f"(not (= (level b) {level}))").reason.startswith("goal not reached")


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ("(< 2 (level b))", True),
        ("(< (level b) 2.5)", False),
        ("(<= (level b) 2.5)", True),
        ("(> (level b) 2.5)", False),
        ("(>= (level b) 2.50)", True),
        ("(= (level b) 2.5)", True),
        ("(= 2.5 (level b))", True),
        ("(= 1 1.0)", True),
        ("(= spilt 0)", True),
        ("(not (= (level a) (level b)))", True),
        ("(exists (?t - tank) (> (level ?t) 2))", True),
        ("(forall (?t - tank) (> (level ?t) 2))", False),
        ("(or (clean) (>= (- (size a) (level b)) 0.5))", True),
        ("(imply (< (spilt) 1) (clean))", False),
    ],
)
def test_comparisons(condition, holds):
    tanks = Tanks(f"(:action act :precondition {condition})")
    verdict = tanks.judge("(act)")
    assert verdict.valid is holds
    assert replace(tanks, goal=condition).judge("").valid is holds
    if not holds:
        assert (verdict.failed_step, len(verdict.unmet)) == (1, 1)


def test_the_reason_shows_the_numbers_of_the_condition():
    verdict = Tanks("(:action act :parameters (?t - tank) :precondition (>= (* 2 (level ?t)) 5.50))").judge("(act b)")
    assert verdict.reason == "step 1 (act b): precondition (>= (* 2 (level b)) 5.5) does not hold"


def test_decimals_are_exact():
    """In floats three times 0.1 is more than 0.3."""
    tanks = Tanks("(:action drip :effect (increase (level a) 0.1))", goal="(<= (level a) 0.3)")
    assert tanks.judge("(drip) (drip) (drip)").valid
    assert not tanks.judge("(drip) (drip) (drip) (drip)").valid
    thirds = "(and (assign (level a) (/ 1 3)))"
    assert effect(thirds, "(= (+ (level a) (level a) (level a)) 1)").valid


def test_all_is_read_before_anything_changes():
    swap = "(and (assign (level a) (level b)) (assign (level b) (level a)) (when (= (level a) 0) (clean)))"
    assert effect(swap, "(and (= (level a) 2.5) (= (level b) 0) (clean))").valid


@pytest.mark.parametrize(
    ("update", "reason"),
    [
        ("(and (assign (spilt) 1) (assign (spilt) 1))", "gets two new values at once, by assign and assign"),
        ("(and (increase (spilt) 1) (assign (spilt) 1))", "by increase and assign"),
        ("(and (scale-up (spilt) 2) (scale-up (spilt) 2))", "by scale-up and scale-up"),
        ("(and (scale-up (spilt) 2) (forall (?t - tank) (decrease (spilt) 2)))", "by scale-up and decrease"),
    ],
)
def test_updates_that_contradict_one_another_make_the_step_invalid(update, reason):
    verdict = effect(update)
    assert (verdict.status, verdict.failed_step) == (Status.INVALID, 1)
    assert verdict.reason.startswith("step 1 (act): (spilt) gets two new values") and verdict.reason.endswith(reason)


def test_what_does_not_happen_contradicts_nothing():
    assert effect("(and (assign (spilt) 1) (when (clean) (assign (spilt) 2)))", "(= (spilt) 1)").valid


@pytest.mark.parametrize("update", ["(assign (spilt) (/ 1 (level a)))", "(scale-down (spilt) (level a))"])
def test_division_by_zero_makes_the_step_invalid(update):
    verdict = effect(update)
    assert (verdict.status, verdict.failed_step) == (Status.INVALID, 1)
    assert "division by zero" in verdict.reason


def test_a_function_without_a_value_makes_the_step_or_the_goal_invalid():
    read = effect("(assign (spilt) (* 2 (rate)))")
    assert (read.status, read.reason) == (Status.INVALID, "step 1 (act): (rate) has no value")
    needed = Tanks("(:action act :precondition (not (> (rate) 1)))").judge("(act)")
    assert needed.reason == "step 1 (act): (rate) has no value"
    goal = Tanks("(:action act)", goal="(> (rate) 1)").judge("(act)")
    assert (goal.failed_step, goal.unmet) == (None, ("(> (rate) 1)",))
    assert goal.reason == "goal not reached: (> (rate) 1) does not hold ((rate) has no value)"


def test_what_is_not_looked_at_needs_no_value():
    assert Tanks("(:action act :precondition (or (= (spilt) 0) (> (rate) 1)))").judge("(act)").valid


def test_an_increase_of_what_has_no_value_counts_from_zero():
    assert effect("(increase (rate) 3)", "(= (rate) 3)").valid
    assert effect("(assign (rate) 3)", "(= (rate) 3)").valid


@pytest.mark.parametrize(
    ("metric", "cost"),
    [
        ("", 2),
        ("(:metric minimize (total-time))", 2),
        ("(:metric minimize (spilt))", 3),
        ("(:metric maximize (+ (spilt) (* 2 (level b)) 0.5))", 8.5),
        ("(:metric minimize (rate))", None),
        ("(:metric minimize (/ 1 3))", 1 / 3),
    ],
)
def test_the_cost_is_the_metric(metric, cost):
    tanks = Tanks("(:action spill :effect (increase (spilt) 1.5))", metric=metric)
    verdict = tanks.judge("(spill) (spill)")
    assert (verdict.valid, verdict.cost) == (True, cost)
    assert type(verdict.cost) is type(cost)


def test_total_cost_may_be_read_and_changed_like_any_other_function():
    tanks = Tanks("(:action pay :effect (scale-up (total-cost) (+ (total-cost) 1)))", init="(= (total-cost) 3)")
    assert tanks.judge("(pay)").cost == 12


def test_numbers_that_grow_without_end_get_no_verdict():
    squares = Tanks("(:action square :effect (assign (level a) (* (level a) (level a))))", init="(= (level a) 3)")
    assert squares.judge("(square) " * 8).valid
    verdict = squares.judge("(square) " * 40)
    assert (verdict.status, verdict.reason[:23]) == (Status.ERROR, "not supported: numbers ")
    costs = replace(squares, metric="(:metric minimize (level a))")
    assert costs.judge("(square) " * 8).cost == 3**256
    assert costs.judge("(square) " * 10).status is Status.ERROR  # more than a float can hold


def test_a_name_may_be_an_object_or_a_number():
    """Names may begin with digits; an object's name is the object's."""
    domain = Domain.parse("(define (domain d) (:predicates (p)) (:functions (f)))")
    text = "(define (problem p) (:domain d) (:objects 3 x) (:init (= (f) 3)) (:goal (and (= (f) 3) (not (= 3 x)))))"
    assert validate(domain, Problem.parse(text, domain), "").valid


def test_initial_values_are_exact():
    domain = Domain.parse("(define (domain d) (:functions (f)))")
    problem = Problem.parse("(define (problem p) (:init (= (f) -0.10)) (:goal (and)))", domain)
    assert problem.values == {("f",): Fraction(-1, 10)}
