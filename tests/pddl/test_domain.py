"""What is read from domain and problem files, and how it is refused."""

import copy
import gc
import pickle
import weakref

import pytest

from iterdeploy.pddl import Domain, NotSupported, PddlError, Problem, validate

ZOO = """
(define (domain Zoo)
  (:requirements :strips :typing)
  (:types lion eagle - animal  animal place  wing - (either thing tool))
  (:constants gate - place)
  (:predicates (at ?a - animal ?p - place) (fed ?a - animal) (open))
  (:functions (total-cost) - number (way ?p ?q - place) - number)
  (:action move :parameters (?a - animal ?p ?q - place)
    :precondition (at ?a ?p) :effect (and (not (at ?a ?p)) (at ?a ?q) (increase (total-cost) (way ?p ?q))))
  (:action feed :parameters (?l - lion) :effect (fed ?l)))
"""

MONDAY = """
(define (problem monday) (:domain zoo)
  (:objects leo - LION aquila - eagle rock - place thingy - (either lion place))
  (:init (at leo rock) (at aquila gate) (= (total-cost) 0) (= (way rock gate) 4) (not (open)))
  (:goal (and (fed leo) (not (open)) (at leo gate)))
  (:metric minimize (total-cost)))
"""


def test_a_domain_is_plain_records():
    zoo = Domain.parse(ZOO)
    assert zoo.name == "zoo"
    assert zoo.types["lion"] == ("animal",)
    assert zoo.types["wing"] == ("thing", "tool")
    assert zoo.constants == {"gate": "place"}
    assert {name: len(parameters) for name, parameters in zoo.predicates.items()} == {"at": 2, "fed": 1, "open": 0}
    assert str(zoo.actions["move"]) == "(move ?a - animal ?p - place ?q - place)"


def test_a_problem_gives_planners_what_they_need():
    zoo = Domain.parse(ZOO)
    monday = Problem.parse(MONDAY, zoo)
    assert monday.name == "monday"
    assert list(monday.objects) == ["gate", "leo", "aquila", "rock", "thingy"]
    assert monday.objects["leo"] == "lion"
    assert monday.objects["thingy"] == "(either lion place)"
    assert monday.members["animal"] == ("leo", "aquila", "thingy")
    assert monday.members["place"] == ("gate", "rock", "thingy")
    assert monday.members["object"] == tuple(monday.objects)
    assert monday.init_list == (("at", "leo", "rock"), ("at", "aquila", "gate"))
    assert monday.init == frozenset(monday.init_list)
    assert monday.goal_atoms() == [("fed", "leo"), ("at", "leo", "gate")]
    assert monday.values == {("total-cost",): 0, ("way", "rock", "gate"): 4}


def test_goal_atoms_needs_a_conjunction_of_literals():
    zoo = Domain.parse(ZOO)
    monday = Problem.parse(MONDAY.replace("(fed leo) (not", "(or (fed leo) (open)) (not"), zoo)
    with pytest.raises(PddlError, match=r"it holds \(or \(fed leo\) \(open\)\)"):
        monday.goal_atoms()


def test_tasks_travel_between_processes():
    zoo = Domain.parse(ZOO)
    monday = Problem.parse(MONDAY, zoo)
    plan = "(feed leo) (move leo rock gate)"
    assert validate(zoo, monday, plan).cost == 4
    zoo, monday = pickle.loads(pickle.dumps((zoo, monday)))
    assert validate(zoo, monday, plan).cost == 4
    assert validate(*copy.deepcopy((zoo, monday)), plan).cost == 4


def test_a_problem_out_of_use_is_forgotten():
    zoo = Domain.parse(ZOO)
    monday = Problem.parse(MONDAY, zoo)
    validate(zoo, monday, "(feed leo)")
    gone = weakref.ref(monday)
    del monday
    gc.collect()
    assert gone() is None


def domain_with(text: str) -> str:
    return f"(define (domain d)\n (:predicates (p ?x) (q))\n {text})"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the text is empty"),
        ("define", r"line 1: expected \(define \(domain name\)"),
        ("(define (problem d))", r"expected \(domain name\)"),
        ("(define (domain d)) (more)", "text after the end"),
        ("(define (domain d) :types)", "expected a section"),
        (domain_with("(:type a b)"), "line 3: unknown section :type"),
        (domain_with("(:types a - (either))"), "expected a type after '-'"),
        (domain_with("(:types a -)"), "expected a type after '-'"),
        (domain_with("(:constants k - stone)"), "line 3: type stone is not declared: add it to :types"),
        (domain_with("(:constants ?k)"), "is a variable"),
        (domain_with("(:predicates (p ?x ?y))"), "p is declared twice"),
        (domain_with("(:predicates r)"), "expected a declaration"),
        (domain_with("(:action)"), "expected .:action name"),
        (domain_with("(:action a :effect)"), "expected .:action name"),
        (domain_with("(:action a :effects (q))"), "action a: :effects is not expected here"),
        (
            domain_with("(:action a :effect (q)) (:action a :effect (not (q)))"),
            "action a is defined twice, differently",
        ),
        (domain_with("(:action a :effect (q) :effect (q))"), "action a: :effect is not expected here"),
        (domain_with("(:action a :parameters ?x :effect (q))"), "expected a list of variables"),
        (domain_with("(:action a :parameters (x) :effect (q))"), "x is not a variable"),
        (domain_with("(:action a :parameters (?x ?x) :effect (q))"), r"\?x stands twice"),
        (domain_with("(:action a :precondition (r) :effect (q))"), "predicate r is not declared"),
        (domain_with("(:action a :precondition (p) :effect (q))"), "p takes 1 arguments, not 0"),
        (domain_with("(:action a :precondition (p ?z) :effect (q))"), r"variable \?z in \(p \?z\) is bound nowhere"),
        (domain_with("(:action a :precondition (p z) :effect (q))"), "z in .* is neither an object nor a constant"),
        (domain_with("(:action a :precondition q :effect (q))"), "expected parentheses around q"),
        (domain_with("(:action a :precondition (and q) :effect (q))"), "expected parentheses around q"),
        (domain_with("(:action a :precondition (not (q) (q)) :effect (q))"), "expected"),
        (domain_with("(:action a :precondition (imply (q)) :effect (q))"), "expected .imply premise conclusion"),
        (domain_with("(:action a :precondition (forall (?x)) :effect (q))"), "expected .forall"),
        (domain_with("(:action a :precondition (= a) :effect (q))"), "expected .= term term"),
        (domain_with("(:action a :effect (and q))"), "expected parentheses around q"),
        (domain_with("(:action a :effect (not (not (q))))"), "not cannot stand here: expected an atom"),
        (domain_with("(:action a :effect (when (q)))"), "expected .when condition effect"),
        (domain_with("(:action a :effect (or (q) (q)))"), "or cannot stand here: expected an atom"),
        (domain_with("(:action a :precondition (when (q) (q)))"), "when cannot stand here: expected an atom"),
        (domain_with("(:action a :effect (increase (total-cost) much))"), "expected a number, not much"),
        (domain_with("(:functions (c ?x)) (:action a :effect (increase (total-cost) (c)))"), "c takes 1 arguments"),
        (domain_with("(:action a :effect (increase (q) 1))"), r"function q in .* is not declared in :functions"),
        (domain_with("(:action a :effect (increase (total-cost)))"), r"expected .increase .function. amount"),
        (domain_with("(:action a :precondition (< 1 2 3) :effect (q))"), "expected .< number number"),
        (domain_with("(:action a :precondition (< 1 (/ 1)) :effect (q))"), "/ does not take 1 parts"),
        (domain_with("(:action a :precondition (< 1 (% 1 2)) :effect (q))"), "function % in .* is not declared"),
        (domain_with("(:derived (q))"), "expected .:derived"),
        (domain_with("(:derived (r) (q))"), "predicate r is not declared"),
        (domain_with("(:derived (p ?x ?y) (q))"), "p takes 1 arguments, not 2"),
        (domain_with("(:derived (p a) (q))"), "a is not a variable"),
        (domain_with("(:derived (q) (p ?x))"), r"variable \?x in \(p \?x\) is bound nowhere"),
        (domain_with("(:derived (q) (exists (?x) (p ?x))) (:action a :effect (q))"), "a: q is derived"),
        (domain_with("(:derived (q) (imply (q) (p ?x)))"), "bound nowhere"),
        (domain_with("(:derived (q) (not (q)))"), "q relies on its own absence"),
        (domain_with("(:derived (q) (imply (q) (q)))"), "q relies on its own absence"),
        (
            domain_with("(:derived (q) (exists (?x) (not (p ?x)))) (:derived (p ?x) (and (q) (q)))"),
            "relies on its own absence: the axioms are not stratified",
        ),
    ],
)
def test_wrong_domains_are_refused_with_words(text, message):
    with pytest.raises(PddlError, match=message) as caught:
        Domain.parse(text)
    assert not isinstance(caught.value, NotSupported)


@pytest.mark.parametrize(
    ("text", "feature"),
    [
        ("(:durative-action a :effect (q))", "durative actions"),
        ("(:constraints (always (q)))", "trajectory constraints"),
        ("(:process a :effect (q))", "processes"),
        ("(:functions (f) - object)", "functions that are not numbers"),
        ("(:action a :precondition (preference x (q)) :effect (q))", "preferences"),
        ("(:action a :precondition (p (f)) :effect (q))", "terms in parentheses"),
        ("(:action a :effect (oneof (q) (not (q))))", "non-deterministic effects .*oneof"),
        ("(:action a :effect (and (q) (when (q) (OneOf (q)))))", "non-deterministic effects .*oneof"),
        ("(:action a :effect (probabilistic 0.5 (q)))", "probabilistic effects"),
        ("(:action a :observe (q))", "actions that observe .:observe"),
        ("(:action a :effect (observe (q)))", "actions that observe .observe"),
        ("(:action a :vars (?x) :effect (q))", "variables of an action other than its parameters .:vars"),
        ("(:action a :duration (= ?duration 1) :effect (q))", "durative actions"),
        ("(:axiom :vars (?x) :implies (p ?x))", "axioms of old PDDL"),
        ("(:functions (f)) (:action a :effect (increase (f) (* #t 2)))", "change over time"),
        ("(:task t :parameters (?x))", "hierarchical tasks"),
    ],
)
def test_what_is_not_supported_is_said_so(text, feature):
    with pytest.raises(NotSupported, match=f"^not supported: .*{feature}.* \\(line 3\\)$"):
        Domain.parse(domain_with(text))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("(at leo rock)", "(at leo)", "line 4: at takes 2 arguments, not 1"),
        ("(at leo rock)", "(at leo moon)", "line 4: moon in .* is neither an object"),
        ("(at leo rock)", "(by leo rock)", "predicate by is not declared"),
        ("(at leo rock)", "(and (open) (open))", "and cannot stand here: expected an atom"),
        ("(at leo rock)", "(fed (rock))", "not supported: terms in parentheses"),
        ("(at leo rock)", "(at 5 (open))", "not supported: timed initial literals"),
        ("(at leo rock)", "leo", "expected parentheses around leo"),
        ("(at leo rock)", "(oneof (open) (fed leo))", "not supported: non-deterministic effects or unknown facts"),
        ("(at leo rock)", "(unknown (open))", "not supported: non-deterministic effects or unknown facts"),
        ("(:metric minimize (total-cost))", "(:goal-reward 100)", "not supported: probabilistic effects, .* rewards"),
        ("(:domain zoo)", "(:domain park)", "line 2: .:domain park. is not the domain, whose name is zoo: take the"),
        ("(:domain zoo)", "(:domain)", "line 2: .:domain. is not the domain"),
        ("(:goal", "(:goal (open)) (:goal", r"has one \(:goal ...\), not 2"),
        ("(way rock gate)", "(way rock moon)", "moon in .* is neither"),
        ("(way rock gate)", "(way rock)", "way takes 2 arguments"),
        ("(way rock gate) 4", "(way rock gate) four", "expected a number, not four"),
        ("(= (way rock gate) 4)", "(= leo rock)", "expected a number, not rock"),
        ("(= (way rock gate) 4)", "(= (way rock gate) (way gate rock))", "not supported: values"),
        ("(= (way rock gate) 4)", "(= (path rock gate) 4)", "function path in .* is not declared in :functions"),
        ("rock - place", "rock - rocks", "line 3: type rocks is not declared"),
        ("(fed leo) (not", "(fed tiger) (not", "line 5: tiger in .* is neither"),
        ("(:goal (and (fed leo) (not (open)) (at leo gate)))", "", r"has one \(:goal ...\), not 0"),
        ("(:goal (and", "(:goal (open) (and", "holds one condition"),
        ("(:metric minimize (total-cost))", "(:metric minimise (total-cost))", "expected .:metric minimize expression"),
        ("(:metric minimize (total-cost))", "(:metric minimize (way rock))", "way takes 2 arguments, not 1"),
        ("(:metric minimize (total-cost))", "(:metric minimize (is-violated x))", "not supported: preferences"),
        ("(:metric minimize (total-cost))", "(:constraints (always (open)))", "not supported: trajectory"),
        ("(define (problem", "(define (domain", "expected .problem name"),
    ],
)
def test_wrong_problems_are_refused_with_words(old, new, message):
    assert old in MONDAY
    with pytest.raises(PddlError, match=message):
        Problem.parse(MONDAY.replace(old, new), Domain.parse(ZOO))


def test_neither_requirements_nor_the_name_of_the_domain_need_be_given():
    zoo = Domain.parse(ZOO.replace("(:requirements :strips :typing)", ""))
    monday = Problem.parse(MONDAY.replace("(:domain zoo)", ""), zoo)
    assert validate(zoo, monday, "(feed leo) (move leo rock gate)").valid


def test_the_name_of_the_domain_may_be_written_in_capitals():
    assert Problem.parse(MONDAY.replace("(:domain zoo)", "(:domain ZOO)"), Domain.parse(ZOO)).name == "monday"


GLUED = """
(define (domain den)
  (:types fox hare -animal animal den -object)
  (:constants hole -den)
  (:predicates (in?a -animal ?d -den) (friends ?a?b -(either fox hare)) (quiet))
  (:functions (total-cost) -number (way?d -den) -number)
  (:action flee :parameters (?a -animal ?d -den?e -den)
    :precondition (and(in?a?d) (not(=?d?e)) (or(quiet)(=hole ?e)) (forall(?f -fox) (not (exists (?x -hare) (=?f?x)))))
    :effect (and (not(in?a?d))(in?a?e)(forall(?b -animal)(when(friends?a?b)(in?b?e)))(increase(total-cost)(way?e)))))
"""
SPACED = """
(define (domain den)
  (:types fox hare - animal animal den - object)
  (:constants hole - den)
  (:predicates (in ?a - animal ?d - den) (friends ?a ?b - (either fox hare)) (quiet))
  (:functions (total-cost) - number (way ?d - den) - number)
  (:action flee :parameters (?a - animal ?d - den ?e - den)
    :precondition (and (in ?a ?d) (not (= ?d ?e)) (or (quiet) (= hole ?e))
      (forall (?f - fox) (not (exists (?x - hare) (= ?f ?x)))))
    :effect (and (not (in ?a ?d)) (in ?a ?e) (forall (?b - animal) (when (friends ?a ?b) (in ?b ?e)))
      (increase (total-cost) (way ?e)))))
"""
NIGHT = """(define (problem night) (:domain den) (:objects reynard - fox jack - hare form - den)
  (:init (in reynard form) (= (way hole) 3) (= (way form) -1)) (:goal (in reynard hole)))"""


def test_what_is_glued_together_is_read_as_with_spaces_between():
    glued, spaced = Domain.parse(GLUED), Domain.parse(SPACED)
    assert vars(glued) == vars(spaced)
    night = Problem.parse(NIGHT.replace(" - ", " -"), glued)
    assert vars(night) == vars(Problem.parse(NIGHT, spaced))
    assert validate(glued, night, "(flee reynard form hole)").cost == 3


def test_a_hyphen_inside_or_at_the_end_of_a_name_belongs_to_it():
    domain = Domain.parse(
        "(define (domain d) (:types a-b) (:predicates (p ?x-a - a-b)) (:constants k- - a-b l--a - a-b))"
    )
    assert domain.constants == {"k-": "a-b", "l--a": "a-b"}
    assert domain.predicates["p"][0].name == "?x-a"


@pytest.mark.parametrize(
    "text",
    ["(:types a - -b)", "(:types a --b)", "(:types a -1b)", "(:types a - ?b)", "(:types ?a)", "(:types + a)",
     "(:types a -?b)", "(:constants a --object)", "(:constants -1)", "(:constants a = b)", "(:constants *a)",
     "(:predicates (r ?x - - object))", "(:predicates (r ??x))", "(:action a :parameters (? x) :effect (q))",
     "(:action a :parameters (?) :effect (q))",
     "(:action a :parameters (?x) :precondition (p ?x -object) :effect (q))"],
)  # fmt: skip
def test_a_sign_is_not_a_name(text):
    with pytest.raises(PddlError) as caught:
        Domain.parse(domain_with(text))
    assert not isinstance(caught.value, NotSupported)


def test_a_definition_may_stand_twice_word_for_word():
    move = ZOO[ZOO.index("(:action move") : ZOO.index("(:action feed")]
    twice = Domain.parse(ZOO.replace(move, move + move.upper().replace(" ", "\n") + ";again\n"))
    assert vars(twice) == vars(Domain.parse(ZOO))
    with pytest.raises(PddlError, match="action move is defined twice, differently"):
        Domain.parse(ZOO.replace(move, move + move.replace("(at ?a ?q)", "(at ?a ?p)")))
    assert Domain.parse(domain_with("(:predicates (p ?x) (q))")).predicates.keys() == {"p", "q"}


def test_the_order_of_sections_does_not_matter():
    monday = Problem.parse(
        "(define (problem m) (:goal (open)) (:init (at leo gate)) (:objects leo - lion) (:domain zoo))",
        Domain.parse(ZOO),
    )
    assert monday.init == {("at", "leo", "gate")}


def test_a_type_hierarchy_of_any_shape_is_fine():
    text = f"(define (domain d) (:types a - b b - a {' '.join(f't{i} - t{i + 1}' for i in range(20_000))}))"
    problem = Problem.parse("(define (problem p) (:objects x - a y - t0) (:goal (and)))", Domain.parse(text))
    assert problem.members["b"] == ("x",)
    assert problem.members["t20000"] == ("y",)
