"""Derived predicates: recursion, negation in layers, numbers in conditions, and where they may not stand."""

import pytest

from iterdeploy.pddl import Domain, PddlError, Problem, Verdict, states, validate

PIPES = """
(define (domain pipes)
  (:types node)
  (:predicates (pipe ?x ?y - node) (open ?x - node) (source ?x - node) (wet ?x - node) (reaches ?x ?y - node)
    (dry ?x - node) (all-dry) (odd ?x - node) (even ?x - node))
  (:functions (height ?x - node))
  (:derived (reaches ?x ?y - node) (and (pipe ?x ?y) (open ?y) (>= (height ?x) (height ?y))))
  (:derived (reaches ?a ?b - node) (exists (?m - node) (and (reaches ?a ?m) (reaches ?m ?b))))
  (:derived (wet ?x - node) (or (source ?x) (exists (?s - node) (and (source ?s) (reaches ?s ?x)))))
  (:derived (dry ?x - node) (not (wet ?x)))
  (:derived (all-dry) (forall (?x - node) (dry ?x)))
  (:derived (even ?x - node) (or (source ?x) (exists (?y - node) (and (pipe ?y ?x) (odd ?y)))))
  (:derived (odd ?x - node) (exists (?y - node) (and (pipe ?y ?x) (even ?y))))
  (:action turn :parameters (?x - node) :precondition (dry ?x)
    :effect (and (when (open ?x) (not (open ?x))) (when (not (open ?x)) (open ?x))))
  (:action lift :parameters (?x - node) :effect (increase (height ?x) 1)))
"""


def judge(plan: str, goal: str, count: int = 4, opened: str = "") -> Verdict:
    """Nodes in a row, n0 the source, all level and closed but for `opened`."""
    domain = Domain.parse(PIPES)
    pipes = " ".join(f"(pipe n{i} n{i + 1})" for i in range(count - 1))
    heights = " ".join(f"(= (height n{i}) 0)" for i in range(count))
    text = f"""(define (problem p) (:domain pipes) (:objects {" ".join(f"n{i}" for i in range(count))} - node)
        (:init (source n0) {pipes} {heights} {opened}) (:goal {goal}))"""
    return validate(domain, Problem.parse(text, domain), plan)


@pytest.mark.parametrize(
    ("plan", "goal", "valid"),
    [
        ("", "(wet n0)", True),
        ("", "(wet n1)", False),
        ("", "(dry n3)", True),
        ("(turn n1)", "(wet n1)", True),
        ("(turn n2) (turn n3) (turn n1)", "(wet n3)", True),
        ("(turn n2) (turn n3)", "(wet n3)", False),
        ("(turn n2) (turn n3)", "(reaches n1 n3)", True),
        ("(turn n1) (turn n1)", "(wet n1)", False),
        ("(turn n1) (lift n1)", "(wet n1)", False),
        ("(turn n1) (lift n1) (lift n0)", "(wet n1)", True),
        ("", "(all-dry)", False),
        ("", "(and (even n0) (odd n1) (even n2) (odd n3) (not (even n1)) (not (odd n2)))", True),
    ],
)
def test_what_follows(plan, goal, valid):
    assert judge(plan, goal).valid is valid


def test_a_precondition_that_does_not_follow_is_named():
    verdict = judge("(turn n1) (turn n1)", "(and)")
    assert (verdict.failed_step, verdict.unmet) == (2, ("(dry n1)",))


def test_a_circle_supports_nothing():
    domain = Domain.parse(PIPES)
    text = """(define (problem p) (:domain pipes) (:objects a b - node)
        (:init (pipe a b) (pipe b a) (open a) (open b) (= (height a) 0) (= (height b) 0)) (:goal {}))"""
    assert validate(domain, Problem.parse(text.format("(and (reaches a a) (not (wet a)))"), domain), "").valid
    assert validate(domain, Problem.parse(text.format("(or (odd a) (even a))"), domain), "").unmet


def test_a_long_chain_needs_no_deep_stack():
    assert judge("", "(even n400)", count=401).valid
    assert not judge("", "(odd n400)", count=401).valid


def test_an_axiom_is_about_objects_of_its_types():
    text = """(define (domain d) (:types big small) (:predicates (p ?x) (q ?x))
        (:derived (p ?x - big) (q ?x)) (:derived (p ?x - small) (not (q ?x))))"""
    domain = Domain.parse(text)
    problem = "(define (problem p) (:objects a b - big c d - small) (:init (q a) (q c)) (:goal {}))"
    goal = "(and (p a) (not (p b)) (not (p c)) (p d))"
    assert validate(domain, Problem.parse(problem.format(goal), domain), "").valid


def test_derived_facts_are_no_part_of_the_state():
    domain = Domain.parse(PIPES)
    text = "(define (problem p) (:objects a b - node) (:init (source a) (pipe a b)) (:goal (and)))"
    before, after = states(domain, Problem.parse(text, domain), [("turn", "b")])
    assert after - before == {("open", "b")} and before - after == set()


def test_no_derived_fact_stands_in_init():
    domain = Domain.parse(PIPES)
    with pytest.raises(PddlError, match="wet is a derived predicate: it cannot stand in :init"):
        Problem.parse("(define (problem p) (:objects a - node) (:init (wet a)) (:goal (and)))", domain)
