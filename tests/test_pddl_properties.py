"""Random domains, problems and plans, judged by `iterdeploy.pddl` and by the naive validator: they must agree."""

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from iterdeploy.pddl import Domain, Problem, Status, format_plan, format_step, parse_plan, states, validate
from naive_pddl import Naive

TOWERS = """
(define (domain towers)
  (:predicates (under ?x ?y) (on-floor ?x) (top ?x) (carried ?x) (free))
  (:action lift :parameters (?x) :precondition (and (on-floor ?x) (top ?x) (free))
    :effect (and (carried ?x) (not (on-floor ?x)) (not (top ?x)) (not (free))))
  (:action drop :parameters (?x) :precondition (carried ?x)
    :effect (and (on-floor ?x) (top ?x) (free) (not (carried ?x))))
  (:action pile :parameters (?x ?y) :precondition (and (carried ?x) (top ?y))
    :effect (and (under ?y ?x) (top ?x) (free) (not (top ?y)) (not (carried ?x))))
  (:action take :parameters (?x ?y) :precondition (and (under ?y ?x) (top ?x) (free))
    :effect (and (carried ?x) (top ?y) (not (under ?y ?x)) (not (top ?x)) (not (free)))))
"""

GARDEN = """
(define (domain garden)
  (:types rose tulip - flower  flower tool  bed)
  (:constants can - tool)
  (:predicates (in ?f - flower ?b - bed) (wet ?x - (either flower bed)) (open ?f - flower) (held ?t - tool) (night))
  (:functions (total-cost) - number (thirst ?f - flower) - number)
  (:action grab :parameters (?t - tool) :precondition (not (exists (?u - tool) (held ?u)))
    :effect (and (held ?t) (increase (total-cost) 1)))
  (:action lay :parameters (?t - tool) :precondition (held ?t) :effect (not (held ?t)))
  (:action water :parameters (?b - bed) :precondition (and (held can) (imply (night) (not (wet ?b))))
    :effect (and (wet ?b) (forall (?f - flower) (when (in ?f ?b) (and (wet ?f) (increase (total-cost) (thirst ?f)))))))
  (:action plant :parameters (?f - flower ?b ?c - bed)
    :precondition (and (in ?f ?b) (not (= ?b ?c)) (or (wet ?c) (forall (?g - rose) (not (in ?g ?c)))))
    :effect (and (not (in ?f ?b)) (in ?f ?c) (when (and (wet ?b) (not (wet ?c))) (not (wet ?f)))))
  (:action wait
    :effect (and (when (night) (not (night))) (when (not (night)) (night))
      (forall (?f - flower) (when (and (wet ?f) (night)) (and (open ?f) (not (wet ?f))))))))
"""


def towers(rng: random.Random) -> str:
    blocks = [f"k{i}" for i in range(rng.randint(2, 5))]
    facts, goal = ["(free)"], []
    for parts in (facts, goal):
        below = ""
        for block in rng.sample(blocks, len(blocks)):
            below = below if rng.random() < 0.6 else ""
            parts.append(f"(under {below} {block})" if below else f"(on-floor {block})")
            below = block
    stacked = {fact.split()[1] for fact in facts if fact.startswith("(under")}
    facts += [f"(top {block})" for block in blocks if block not in stacked]
    wanted = " ".join(rng.sample(goal, rng.randint(0, 2)))
    return f"""(define (problem t) (:domain towers) (:objects {" ".join(blocks)} - object)
        (:init {" ".join(facts)}) (:goal (and {wanted})))"""


def garden(rng: random.Random) -> str:
    flowers = [f"{kind}{i}" for kind in ("rose", "tulip") for i in range(rng.randint(0, 2))]
    beds = [f"bed{i}" for i in range(rng.randint(1, 3))]
    objects = " ".join([f"{flower} - {flower[:-1]}" for flower in flowers])
    facts = [f"(in {flower} {rng.choice(beds)})" for flower in flowers]
    facts += [f"(= (thirst {flower}) {rng.randint(0, 9)})" for flower in flowers]
    facts += [fact for fact in ["(night)", "(held can)", f"(wet {beds[0]})"] if rng.random() < 0.3]
    goals = [f"(open {flower})" for flower in flowers] + ["(night)", "(not (held can))", "(exists (?b - bed) (wet ?b))"]
    return f"""(define (problem g) (:domain garden) (:objects {objects} {" ".join(beds)} - bed rake - tool)
        (:init (= (total-cost) 0) {" ".join(facts)}) (:goal (and {" ".join(rng.sample(goals, rng.randint(0, 2)))})))"""


def random_walk(naive: Naive, rng: random.Random, length: int) -> list[tuple[str, ...]]:
    """Steps that can be taken one after the other, found by trying."""
    names = [name for name, _ in naive.objects]
    plan: list[tuple[str, ...]] = []
    state = set(naive.start)
    for _ in range(length * 30):
        action = rng.choice(list(naive.actions))
        count = len([word for word in naive.actions[action].get(":parameters", []) if str(word).startswith("?")])
        step = (action, *[rng.choice(names) for _ in range(count)])
        after = naive.step(step, state)
        if after is not None and len(plan) < length:
            plan.append(step)
            state = after[0]
    return plan


def spoil(plan: list[tuple[str, ...]], rng: random.Random, names: list[str]) -> list[tuple[str, ...]]:
    """The plan with one thing about it changed."""
    steps = list(plan)
    if not steps:
        return steps
    i, j = rng.randrange(len(steps)), rng.randrange(len(steps))
    step = list(steps[i])
    match rng.choice(["drop", "swap", "repeat", "object", "more", "less", "action", "cut"]):
        case "drop":
            del steps[i]
        case "swap":
            steps[i], steps[j] = steps[j], steps[i]
        case "repeat":
            steps.insert(j, steps[i])
        case "object" if len(step) > 1:
            step[rng.randrange(1, len(step))] = rng.choice([*names, "nobody"])
            steps[i] = tuple(step)
        case "more":
            steps[i] = (*step, rng.choice(names))
        case "less":
            steps[i] = tuple(step[:-1]) or ("nothing",)
        case "action":
            steps[i] = (rng.choice(["lift", "drop", "pile", "water", "wait", "fly"]), *step[1:])
        case "cut":
            steps = steps[:i]
    return [step for step in steps if step]


def noisy(plan: list[tuple[str, ...]], rng: random.Random) -> str:
    """The same plan in another spelling."""
    numbered, duration = rng.random() < 0.4, rng.choice(["", " [1]", "[0.001]"])
    end = rng.choice(["\n", "\r\n", "\r", "\n\n", " \t\n"])
    lines = [rng.choice(["", "\ufeff"]) + rng.choice(["", "; a (comment)" + end, end])]
    for i, step in enumerate(plan):
        words = [rng.choice([str.upper, str.lower, str.title])(word) for word in step]
        gap = rng.choice([" ", "  ", "\t", " \n "])
        text = "(" + rng.choice(["", " "]) + gap.join(words) + rng.choice(["", "\t"]) + ")"
        lines.append(f"{i}{rng.choice(['', '.0', '.5'])}: {text}{duration}" if numbered else text)
        lines.append(rng.choice([" ; done", "", ";", ";(x"]) + end)
    return "".join(lines)


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
