"""Random domains, problems and plans, judged by `iterdeploy.pddl` and by the naive validator: they must agree."""

from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.naive_numbers import NaiveNumbers
from helpers.naive_pddl import Naive
from helpers.random_numeric import random_case
from helpers.random_pddl import GARDEN, TOWERS, garden, noisy, random_walk, spoil, towers
from iterdeploy.pddl import Domain, Problem, Status, format_plan, format_step, parse_plan, states, validate


def assert_same(domain: Domain, problem: Problem, naive: Naive, steps: list[tuple[str, ...]]) -> None:
    verdict = validate(domain, problem, format_plan(steps))
    valid, failed_step, cost = naive.judge(steps)
    assert (verdict.valid, verdict.failed_step) == (valid, failed_step), verdict.reason
    assert verdict.status in (Status.VALID, Status.INVALID)
    if valid:
        assert verdict.cost == (cost if problem.values else len(steps))


tasks = st.sampled_from([(TOWERS, towers), (GARDEN, garden)])


@settings(max_examples=150, deadline=None)
@given(tasks, st.randoms(use_true_random=False), st.integers(0, 12))
def test_plans_and_spoilt_plans_are_judged_as_the_naive_validator_does(task, rng, length):
    domain_text, problem_of = task
    problem_text = problem_of(rng)
    domain = Domain.parse(domain_text)
    problem = Problem.parse(problem_text, domain)
    naive = Naive(domain_text, problem_text)
    plan = random_walk(naive, rng, length)
    assert_same(domain, problem, naive, plan)
    for _ in range(6):
        assert_same(domain, problem, naive, spoil(plan, rng, list(problem.objects)))


@settings(max_examples=100, deadline=None)
@given(tasks, st.randoms(use_true_random=False), st.integers(0, 10))
def test_spelling_does_not_matter(task, rng, length):
    domain_text, problem_of = task
    problem_text = problem_of(rng)
    domain = Domain.parse(domain_text)
    problem = Problem.parse(problem_text, domain)
    plan = random_walk(Naive(domain_text, problem_text), rng, length)
    text = noisy(plan, rng)
    assert parse_plan(text) == plan
    assert validate(domain, problem, text) == validate(domain, problem, format_plan(plan))
    shouted = Domain.parse(domain_text.upper().replace("\n", "\r\n"))
    assert validate(shouted, Problem.parse(problem_text.upper(), shouted), text) == validate(domain, problem, text)


@settings(max_examples=60, deadline=None)
@given(tasks, st.randoms(use_true_random=False), st.integers(0, 10))
def test_states_follow_the_naive_validator(task, rng, length):
    domain_text, problem_of = task
    problem_text = problem_of(rng)
    domain = Domain.parse(domain_text)
    naive = Naive(domain_text, problem_text)
    plan = random_walk(naive, rng, length)
    expected = [set(naive.start)]
    for step in plan:
        expected.append(naive.step(step, expected[-1])[0])
    found = list(states(domain, Problem.parse(problem_text, domain), plan))
    assert [{format_step(atom) for atom in state} for state in found] == expected


TERMS = ["?x", "?y", "?z", "k", "m"]
"""?x and ?y are parameters; ?z is bound by some quantifiers only, and stands for the constant k elsewhere."""

terms = st.sampled_from(TERMS)
literals = st.one_of(
    st.builds("(p {})".format, terms), st.builds("(q {} {})".format, terms, terms), st.just("(r)"), st.just("(s)")
)
kinds = st.sampled_from(["", " - one", " - two", " - (either one two)"])
variables = st.builds("{}{}".format, st.sampled_from(["?x", "?y", "?z", "?x ?z"]), kinds)
conditions = st.recursive(
    st.one_of(literals, st.builds("(= {} {})".format, terms, terms)),
    lambda inner: st.one_of(
        st.builds("(not {})".format, inner),
        st.builds("(imply {} {})".format, inner, inner),
        st.builds("({} {})".format, st.sampled_from(["and", "or"]), st.lists(inner, max_size=3).map(" ".join)),
        st.builds("({} ({}) {})".format, st.sampled_from(["forall", "exists"]), variables, inner),
    ),
    max_leaves=6,
)
effects = st.recursive(
    st.one_of(
        literals.filter(lambda text: text != "(s)"),  # nothing changes s, so that there is a static predicate
        st.builds("(not {})".format, literals.filter(lambda text: text != "(s)")),
        st.builds("(increase (total-cost) {})".format, st.one_of(st.integers(0, 5), st.just("(c ?x)"))),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda parts: f"(and {' '.join(parts)})"),
        st.builds("(when {} {})".format, conditions, inner),
        st.builds("(forall ({}) {})".format, variables, inner),
    ),
    max_leaves=5,
)


def bind(text: str) -> str:
    """Free ?z becomes the constant: then every condition is closed."""
    out, bound = [], []
    for word in text.replace("(", " ( ").replace(")", " ) ").split():
        if word == "(":
            bound.append(set())
        elif word == ")":
            bound.pop()
        elif word == "?z" and len(bound) >= 2 and out[-1] in ("(", "?x") and _declares(out):
            bound[-2].add("?z")
        elif word == "?z" and not any("?z" in names for names in bound):
            word = "k"
        out.append(word)
    return " ".join(out)


def _declares(words: list[str]) -> bool:
    """Whether the last words open the list of variables of a quantifier."""
    back = len(words) - 1
    while words[back] != "(":
        back -= 1
    return words[back - 1] in ("forall", "exists")


facts = st.sampled_from([f"(p {x})" for x in "kmab"] + [f"(q {x} {y})" for x in "kma" for y in "kmb"] + ["(r)", "(s)"])


@settings(max_examples=400, deadline=None)
@given(
    st.lists(st.tuples(conditions, effects), min_size=1, max_size=3),
    st.lists(facts, max_size=8),
    conditions,
    st.lists(st.tuples(st.integers(0, 2), st.sampled_from("kmab"), st.sampled_from("kmab")), max_size=5),
)
def test_random_domains(actions, init, goal, plan):
    text = " ".join(
        f"(:action a{i} :parameters (?x - one ?y) :precondition {bind(condition)} :effect {bind(effect)})"
        for i, (condition, effect) in enumerate(actions)
    )
    domain_text = f"""(define (domain d) (:types three - one one two) (:constants k - three m - two)
        (:predicates (p ?x) (q ?x ?y) (r) (s)) (:functions (total-cost) (c ?x)) {text})"""
    costs = " ".join(f"(= (c {name}) {i})" for i, name in enumerate("kmab"))
    closed = f"(forall (?x ?y) {bind(goal)})"
    problem_text = f"(define (problem p) (:objects a - one b) (:init {' '.join(init)} {costs}) (:goal {closed}))"
    domain = Domain.parse(domain_text)
    problem = Problem.parse(problem_text, domain)
    steps = [(f"a{i}", x, y) for i, x, y in plan]
    verdict = validate(domain, problem, format_plan(steps))
    naive = Naive(domain_text, problem_text)
    valid, failed_step, cost = naive.judge(steps)
    assert (verdict.valid, verdict.failed_step) == (valid, failed_step), verdict.reason
    if valid:
        assert verdict.cost == (cost if "increase" in text else len(steps))
    elif failed_step is None:
        assert verdict.unmet


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 10**9))
def test_numbers_and_axioms_are_judged_as_the_naive_validator_does(seed):
    case = random_case(seed)
    domain = Domain.parse(case.domain)
    verdict = validate(domain, Problem.parse(case.problem, domain), format_plan(case.plan))
    valid, failed_step, metric = NaiveNumbers(case.domain, case.problem).judge(case.plan)
    assert (verdict.valid, verdict.failed_step) == (valid, failed_step), verdict.reason
    if metric is not None:
        assert verdict.cost == float(metric)
