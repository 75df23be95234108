"""Verdicts, one small domain for each feature and each trap."""

import doctest
import importlib
import time
import tracemalloc
from dataclasses import dataclass, replace

import pytest

from iterdeploy.pddl import (
    Domain,
    PddlError,
    Problem,
    Status,
    format_plan,
    states,
    validate,
    validate_steps,
)


@dataclass(frozen=True)
class Task:
    """A domain and a problem, written without what is the same in all."""

    predicates: str
    actions: str
    objects: str = "a b c"
    init: str = ""
    goal: str = "(and)"
    more: str = ""
    """Further sections of the domain, before the predicates."""

    def parsed(self) -> tuple[Domain, Problem]:
        domain = Domain.parse(f"(define (domain d) {self.more} (:predicates {self.predicates}) {self.actions})")
        problem = f"(define (problem p) (:domain d) (:objects {self.objects}) (:init {self.init}) (:goal {self.goal}))"
        return domain, Problem.parse(problem, domain)

    def judge(self, plan):
        return validate(*self.parsed(), plan)


def action(name, parameters="", precondition="()", effect="()"):
    return f"(:action {name} :parameters ({parameters}) :precondition {precondition} :effect {effect})"


MOVE = action("move", "?x ?y", "(here ?x)", "(and (not (here ?x)) (here ?y))")
WALK = Task("(here ?x)", MOVE, init="(here a)", goal="(here b)")
ADDS_FIRST = Task("(here ?x)", action("move", "?x ?y", "(here ?x)", "(and (here ?y) (not (here ?x)))"), init="(here a)")
TYPES = "(:types dog cat - pet  pup - dog  rock)"
PETS = Task("(seen ?p)", action("see", "?p - pet", effect="(seen ?p)"), "d - dog p - pup r - rock", more=TYPES)
DOGS = Task("(seen ?p)", action("see", "?p - dog", effect="(seen ?p)"), "d - dog p - pup c - cat x - pet", more=TYPES)
EITHER = Task(
    "(seen ?p)", action("see", "?p - (either cat rock)", effect="(seen ?p)"), "c - cat r - rock d - dog", more=TYPES
)
DIFFERENT = Task("(met ?x ?y)", action("meet", "?x ?y", "(not (= ?x ?y))", "(met ?x ?y)"))
SAME = Task("(met ?x ?y)", action("meet", "?x ?y", "(= ?x ?y)", "(met ?x ?y)"))
NEGATIVE = Task("(lit ?x)", action("light", "?x", "(not (lit ?x))", "(lit ?x)"), init="(lit a)")
OR = Task("(p ?x) (q ?x)", action("go", "?x", "(or (p ?x) (q ?x))"), init="(p a) (q b)")
IMPLY = Task(
    "(p ?x) (q ?x)", action("go", "?x", "(imply (p ?x) (q ?x))") + action("q", "?x", effect="(q ?x)"), init="(p a)"
)
FORALL = Task("(p ?x)", action("all", "", "(forall (?x) (p ?x))") + action("p", "?x", effect="(p ?x)"), "a b", "(p a)")
EXISTS = Task("(p ?x ?y)", action("any", "?x", "(exists (?y) (and (p ?x ?y) (not (= ?x ?y))))"), init="(p a a) (p b a)")
HIDING = Task("(p ?x)", action("go", "?x", "(and (exists (?x) (p ?x)) (not (p ?x)))"), init="(p a)")
SWAP = Task(
    "(on ?x)",
    action("flip", effect="(forall (?x) (and (when (on ?x) (not (on ?x))) (when (not (on ?x)) (on ?x))))"),
    init="(on a)",
    goal="(and (not (on a)) (on b) (on c))",
)
ORDER = Task(
    "(p) (q) (r)", action("go", effect="(and (when (p) (q)) (not (p)) (when (q) (r)))"), init="(p)", goal="(r)"
)
NESTED = Task(
    "(p ?x) (q ?x ?y)",
    action("go", "?z", effect="(forall (?x) (when (p ?x) (forall (?y) (when (not (= ?x ?y)) (q ?x ?y)))))"),
    init="(p a)",
    goal="(and (q a b) (q a c) (not (q a a)) (not (q b a)))",
)
CONSTANT = Task(
    "(at ?x)",
    action("home", effect="(at house)") + action("go", "?x", effect="(at ?x)"),
    "a",
    more="(:constants house)",
)
ANDS = Task(
    "(p) (q)", action("go", "", "(and (and (p)) (and))", "(and (and (q)) (and))"), init="(p)", goal="(and (and (q)))"
)
NOTHING = Task("(p)", "(:action idle)", goal="(p)", init="(p)")
HYPHEN = Task("(p ?x)", action("pick-up", "?x", effect="(p ?x)") + action("pick_up", "?x"), "a-1 a_1", goal="(p a-1)")
NAMES = Task(
    "(dog ?x - dog) (see ?x - dog)",
    action("see", "?see - dog", effect="(see ?see)"),
    "dog see - dog",
    more="(:types dog)",
)
CAPITALS = Task(
    "(Here ?X)", action("Move", "?X ?y", "(HERE ?x)", "(AND (NOT (Here ?X)) (here ?Y))"), "A b", "(here a)", "(hERE B)"
)
OBJECT = Task("(p ?x - object)", action("go", "?x", effect="(p ?x)"), "a b - object")
GOAL_OR = Task("(p)", action("p", effect="(p)"), goal="(or (p) (exists (?x ?y) (and (= ?x a) (= ?y ?x) (p))))")
BOTH = Task("(p) (q)", action("go", effect="(and (when (p) (q)) (when (p) (not (q))))"), init="(p)", goal="(q)")
MIXED = Task(
    "(p) (q) (r)",
    action("go", effect="(and (q) (not (r)) (when (p) (not (q))) (when (p) (r)))"),
    init="(p) (r)",
    goal="(and (q) (r))",
)
WIDE = Task(
    "(three ?x ?y ?z) (four ?w ?x ?y ?z)",
    action("go", "?w ?x ?y ?z", "(and (three ?x ?y ?z) (four ?w ?x ?y ?z))", "(and (three ?z ?x ?w) (four a ?w ?y b))"),
    objects="c",
    init="(three a b c) (four b a b c)",
    goal="(and (three c a b) (four a b b b))",
    more="(:constants a b)",
)
LOST = Task("(p)", action("use", "", "(p)", "(not (p))"), init="(p)")
STATIC = Task("(road ?x ?y) (here ?x)", action("go", "?x ?y", "(road ?x ?y)", "(here ?y)"), init="(road a b)")

VALID = [
    (WALK, "(move a b)"),
    (WALK, "(move a c) (move c b)"),
    (WALK, "(move a a) (move a b)"),  # an atom both deleted and added is true
    (ADDS_FIRST, "(move a a) (move a b)"),
    (PETS, "(see d) (see p)"),
    (DOGS, "(see d) (see p)"),
    (EITHER, "(see c) (see r)"),
    (DIFFERENT, "(meet a b)"),
    (SAME, "(meet a a)"),
    (NEGATIVE, "(light b)"),
    (OR, "(go a) (go b)"),
    (IMPLY, "(go b) (q a) (go a)"),
    (FORALL, "(p b) (all)"),
    (EXISTS, "(any b)"),
    (HIDING, "(go b)"),
    (SWAP, "(flip)"),
    (ORDER, "(go) (go)"),
    (NESTED, "(go a)"),
    (CONSTANT, "(home) (go house) (go a)"),
    (ANDS, "(go)"),
    (NOTHING, ""),
    (NOTHING, "(idle)"),
    (HYPHEN, "(pick-up a-1)"),
    (NAMES, "(see dog) (see see)"),
    (CAPITALS, "(MOVE a B)"),
    (OBJECT, "(go a)"),
    (GOAL_OR, "(p)"),
    (BOTH, "(go)"),  # added and deleted, this time under conditions
    (MIXED, "(go)"),
    (WIDE, "(go b a b c)"),
    (LOST, "(use)"),
    (STATIC, "(go a b)"),
]

INVALID = [
    (WALK, "", None, "goal not reached: (here b) does not hold"),
    (WALK, "(move a b) (move b c)", None, "goal not reached: (here b) does not hold"),
    (WALK, "(move b c)", 1, "step 1 (move b c): precondition (here b) does not hold"),
    (WALK, "(move a b) (move a b)", 2, "step 2 (move a b): precondition (here a) does not hold"),
    (WALK, "(move a)", 1, "step 1 (move a): move takes 2 objects, not 1"),
    (WALK, "(move a b c)", 1, "step 1 (move a b c): move takes 2 objects, not 3"),
    (WALK, "(move a z)", 1, "step 1 (move a z): z is not an object of this problem"),
    (WALK, "(fly a b)", 1, "step 1 (fly a b): there is no action fly"),
    (WALK, "(move a b) (fly)", 2, "step 2 (fly): there is no action fly"),
    (PETS, "(see r)", 1, "step 1 (see r): r is of type rock, but ?p must be pet"),
    (DOGS, "(see c)", 1, "step 1 (see c): c is of type cat, but ?p must be dog"),
    (DOGS, "(see x)", 1, "step 1 (see x): x is of type pet, but ?p must be dog"),
    (EITHER, "(see d)", 1, "step 1 (see d): d is of type dog, but ?p must be (either cat rock)"),
    (DIFFERENT, "(meet a a)", 1, "step 1 (meet a a): precondition (not (= a a)) does not hold"),
    (SAME, "(meet a b)", 1, "step 1 (meet a b): precondition (= a b) does not hold"),
    (NEGATIVE, "(light a)", 1, "step 1 (light a): precondition (not (lit a)) does not hold"),
    (NEGATIVE, "(light b) (light b)", 2, "step 2 (light b): precondition (not (lit b)) does not hold"),
    (OR, "(go c)", 1, "step 1 (go c): precondition (or (p c) (q c)) does not hold"),
    (IMPLY, "(go a)", 1, "step 1 (go a): precondition (imply (p a) (q a)) does not hold"),
    (FORALL, "(all)", 1, "step 1 (all): precondition (forall (?x - object) (p ?x)) does not hold"),
    (EXISTS, "(any a)", 1, "precondition (exists (?y - object) (and (p a ?y) (not (= a ?y)))) does not hold"),
    (HIDING, "(go a)", 1, "step 1 (go a): precondition (not (p a)) does not hold"),
    (SWAP, "(flip) (flip)", None, "goal not reached: (not (on a)), (on b), (on c) do not hold"),
    (ORDER, "(go)", None, "goal not reached: (r) does not hold"),
    (HYPHEN, "(pick_up a-1)", None, "goal not reached: (p a-1) does not hold"),
    (HYPHEN, "(pick-up a_1)", None, "goal not reached: (p a-1) does not hold"),
    (GOAL_OR, "", None, "goal not reached: (or (p) (exists (?x - object ?y - object)"),
    (WIDE, "(go b a c b)", 1, "step 1 (go b a c b): preconditions (three a c b), (four b a c b) do not hold"),
    (LOST, "(use) (use)", 2, "step 2 (use): precondition (p) does not hold"),
    (STATIC, "(go b a)", 1, "step 1 (go b a): precondition (road b a) does not hold"),
]


@pytest.mark.parametrize(("task", "plan"), VALID)
def test_valid(task, plan):
    verdict = task.judge(plan)
    assert (verdict.status, verdict.reason, verdict.failed_step, verdict.unmet) == (Status.VALID, "", None, ())
    assert verdict.valid
    assert verdict.cost == len(verdict.plan) == plan.count("(")


@pytest.mark.parametrize(("task", "plan", "step", "reason"), INVALID)
def test_invalid(task, plan, step, reason):
    verdict = task.judge(plan)
    assert verdict.status is Status.INVALID
    assert reason in verdict.reason
    assert verdict.failed_step == step
    assert len(verdict.plan) == plan.count("(")
    assert verdict.cost is None
    assert not verdict.valid


def test_every_unmet_part_is_listed():
    parts = " ".join(f"(p {name})" for name in "abcde")
    task = Task("(p ?x)", action("p", "?x", effect="(p ?x)"), "a b c d e", goal=f"(and {parts})")
    verdict = task.judge("(p b)")
    assert verdict.unmet == ("(p a)", "(p c)", "(p d)", "(p e)")
    assert verdict.reason == "goal not reached: (p a), (p c), (p d), 1 more do not hold"
    go = Task("(p ?x)", action("go", "?x ?y", "(and (p ?x) (p ?y))", "(p ?x)"))
    assert go.judge("(go a b)").reason == "step 1 (go a b): preconditions (p a), (p b) do not hold"


def test_text_that_is_not_a_plan_is_unparseable():
    verdict = WALK.judge("I would move a to b.")
    assert verdict.status is Status.UNPARSEABLE
    assert verdict.reason.startswith("line 1: expected a step")


COSTS = Task(
    "(p ?x)",
    action("go", "?x", effect="(and (p ?x) (increase (total-cost) (price ?x)))")
    + action("pay", effect="(increase (total-cost) 2)")
    + action("rest")
    + action("each", effect="(forall (?x) (when (p ?x) (increase (total-cost) 0.5)))"),
    init="(= (total-cost) 0) (= (price a) 3) (= (price b) 1.5)",
    more="(:functions (total-cost) (price ?x) - number)",
)


@pytest.mark.parametrize(
    ("plan", "cost"),
    [
        ("", 0),
        ("(rest)", 0),
        ("(pay) (pay)", 4),
        ("(go a)", 3),
        ("(go a) (go b) (rest)", 4.5),
        ("(go a) (go b) (each)", 5.5),
        ("(go a) ; cost = 99", 3),
    ],
)
def test_costs_add_up(plan, cost):
    assert COSTS.judge(plan).cost == cost


def test_costs_begin_with_what_the_problem_says():
    assert replace(COSTS, init=COSTS.init.replace("(total-cost) 0", "(total-cost) 100")).judge("(pay)").cost == 102


def test_a_cost_without_a_value_makes_the_step_invalid():
    verdict = COSTS.judge("(go c)")
    assert (verdict.status, verdict.failed_step) == (Status.INVALID, 1)
    assert verdict.reason == "step 1 (go c): (price c) has no value"


def test_states_are_those_after_each_step():
    domain, problem = STATIC.parsed()
    road = ("road", "a", "b")
    assert list(states(domain, problem, [("go", "a", "b")])) == [{road}, {road, ("here", "b")}]
    with pytest.raises(PddlError, match=r"step 1 \(go b a\)"):
        list(states(domain, problem, [("go", "b", "a")]))
    with pytest.raises(PddlError, match=r"step 1 \(fly\): there is no action fly"):
        list(states(domain, problem, [("fly",)]))


def test_a_verdict_leaves_no_trace_in_the_task():
    domain, problem = WALK.parsed()
    plans = ["(move a b)", "(move b a)", "(move a c)", "", "(fly)", "(move a b)"]
    first = [validate(domain, problem, plan) for plan in plans]
    assert [validate(domain, problem, plan) for plan in plans] == first
    assert first == [WALK.judge(plan) for plan in plans]


def test_one_problem_with_two_domains():
    domain, problem = WALK.parsed()
    other = Domain.parse(
        "(define (domain d) (:predicates (here ?x)) (:action move :parameters (?x ?y) :effect (here ?y)))"
    )
    assert not validate(domain, problem, "(move c b)").valid
    assert validate(other, problem, "(move c b)").valid
    assert not validate(domain, problem, "(move c b)").valid


def test_steps_need_no_text():
    domain, problem = WALK.parsed()
    assert validate_steps(domain, problem, [("move", "a", "b")]).valid
    assert not validate_steps(domain, problem, [()]).valid


def test_quantifiers_stop_early_and_are_never_expanded():
    objects = " ".join(f"o{i}" for i in range(2000))
    task = Task(
        "(p ?x)",
        action("go", "?x", "(exists (?u ?v ?w) (p ?u))", "(p ?x)"),
        objects,
        init="(p o0)",
        goal="(not (forall (?u ?v ?w) (not (p ?w))))",
    )
    begin = time.perf_counter()
    assert task.judge("(go o1)").valid
    assert time.perf_counter() - begin < 2


def test_conditions_may_be_as_deep_as_the_reader_allows():
    negations = "(not " * 180 + "(p a)" + ")" * 180
    quantifiers = "(forall (?x) (or (p ?x) " * 90 + "(p a)" + "))" * 90
    for deep in (negations, quantifiers):
        task = Task("(p ?x)", action("go", "", deep), "b", "(p a)", deep, more="(:constants a)")
        assert task.judge("(go)").valid
        never = Task("(p ?x)", action("go", "", deep) + action("p", effect="(p a)"), "b", more="(:constants a)")
        assert never.judge("(go)").failed_step == 1


MANY = 5_000
NAMED = " ".join(f"n{i}" for i in range(MANY))
SLOTS = " ".join(f"?n{i}" for i in range(MANY))


@pytest.mark.parametrize(
    ("task", "refusal"),
    [
        (Task("(p)", "", more=f"(:types {NAMED}) (:constants {NAMED} - (either {NAMED}))"), "100 types"),
        (Task("(p)", "", more=f"(:types {NAMED} - (either {NAMED}))"), "100 types"),
        (Task("(p)", "", " ".join([f"a - n{i}" for i in range(MANY)]), more=f"(:types {NAMED})"), "100 types"),
        (Task("(p)", action("go", SLOTS)), "200 variables"),
        (Task("(p)", action("go", effect=f"(forall ({SLOTS}) (and {'(forall (?x) (p))' * MANY}))")), "200 variables"),
        (Task("(p)", "", goal=f"(exists ({SLOTS}) (and {'(forall (?x) (p))' * MANY}))"), "200 variables"),
    ],
)
def test_what_would_take_memory_for_a_product_is_refused(task, refusal):
    with pytest.raises(PddlError, match=f"more than {refusal}"):
        task.parsed()


def test_many_effects_under_one_long_condition_share_it():
    effect = f"(when (and {'(p)' * MANY}) (and {'(when (p) (q))' * MANY}))"
    task = Task("(p) (q)", action("go", effect=effect), goal="(not (q))")
    tracemalloc.start()
    assert task.judge("(go)").valid
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 50_000_000


def test_a_hundred_thousand_steps_take_seconds():
    domain, problem = WALK.parsed()
    text = format_plan([("move", "a", "c"), ("move", "c", "a")] * 50_000 + [("move", "a", "b")])
    begin = time.perf_counter()
    assert validate(domain, problem, text).cost == 100_001
    assert time.perf_counter() - begin < 5


@pytest.mark.parametrize("name", ["", ".declarations", ".reader", ".plan", ".conditions"])
def test_examples_in_docstrings_are_true(name):
    tried = doctest.testmod(importlib.import_module("iterdeploy.pddl" + name))
    assert tried.attempted > 0
    assert tried.failed == 0
