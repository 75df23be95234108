"""Random tasks with numbers and derived predicates, each with a plan that often works; in the PDDL that VAL reads.

What makes them hard is drawn on purpose: functions without a value, division by zero, equal decimals, updates that
contradict one another, conditional and quantified updates, recursive axioms, and axioms that rely on what does not
follow from others.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass

from helpers.naive_numbers import NaiveNumbers, Undefined

OBJECTS = ("k", "m", "a", "b")
"""The first two are of type one, the others of type two; k is a constant."""
NUMBERS = ("0", "1", "2", "3", "-1", "-2.5", "0.1", "0.2", "0.3", "0.5", "1.25", "10")
FUNCTIONS = (("f", 1), ("g", 0), ("h", 0), ("d", 2))
PREDICATES = (("p", 1), ("q", 2), ("r", 0))
AXIOMS = (("linked", 2), ("apart", 2), ("heavy", 1), ("calm", 0))


@dataclass(frozen=True)
class Case:
    domain: str
    problem: str
    plan: list[tuple[str, ...]]
    kinds: frozenset[str]
    """What the texts hold: "division", "axioms", ..."""


KINDS: dict[str, Callable[[str], bool]] = {
    "comparison of numbers": lambda text: "(<" in text or "(>" in text or "(= (" in text.split("(:init")[0],
    "nested arithmetic": lambda text: any(f"({sign} (" in text for sign in "+-*/"),
    "division": lambda text: "(/ " in text or "scale-down" in text,
    "assign": lambda text: "(assign" in text,
    "increase, decrease": lambda text: "crease" in text,
    "scale-up, scale-down": lambda text: "(scale" in text,
    "conditional effect": lambda text: "(when" in text,
    "quantified effect": lambda text: ":effect (and (forall" in text or " (forall (?z - two) (and (" in text,
    "derived predicates": lambda text: "(:derived" in text,
    "recursive axiom": lambda text: "(linked ?w ?y)" in text,
    "negated axiom": lambda text: "(not (linked" in text or "(not (heavy" in text,
    "metric": lambda text: "(:metric" in text,
}


def random_case(seed: int) -> Case:
    rng = random.Random(seed)
    with_axioms = rng.random() < 0.5
    predicates = [*PREDICATES, *(AXIOMS if with_axioms else ())]
    actions = [_action(rng, f"act{i}", predicates) for i in range(rng.randint(2, 4))]
    declared = " ".join(_declaration(name, arity) for name, arity in predicates)
    functions = " ".join(_declaration(name, arity) for name, arity in FUNCTIONS)
    domain = f"""(define (domain numbers)
 (:requirements :adl :typing :numeric-fluents :derived-predicates)
 (:types one two - object)
 (:constants k - one)
 (:predicates {declared})
 (:functions {functions})
{_axioms(rng) if with_axioms else ""}
{chr(10).join(actions)})
"""
    facts = [fact for fact in _ground(PREDICATES) if rng.random() < 0.4]
    facts += [f"(= {term} {rng.choice(NUMBERS)})" for term in _ground(FUNCTIONS) if rng.random() < 0.93]
    metric = (
        f"(:metric {rng.choice(['minimize', 'maximize'])} {_expression(rng, [], 2, signed=False)})"
        if rng.random() < 0.5
        else ""
    )

    def problem(goal: str) -> str:
        return f"""(define (problem p) (:domain numbers)
 (:objects m - one a b - two)
 (:init {" ".join(facts)})
 (:goal {goal})
 {metric})
"""

    goals = [f"(and {_condition(rng, [], predicates, 2)} {_condition(rng, [], predicates, 1)})" for _ in range(8)]
    plan = _walk(NaiveNumbers(domain, problem("(and)")), rng, rng.randint(0, 6))
    if rng.random() < 0.2 and plan:
        plan.insert(rng.randrange(len(plan) + 1), _step(rng, len(actions)))
    wanted = rng.random() < 0.75
    met = [goal for goal in goals if NaiveNumbers(domain, problem(goal)).judge(plan)[0] is wanted]
    text = problem([*met, *goals][0])
    return Case(domain, text, plan, frozenset(kind for kind, within in KINDS.items() if within(domain + text)))


def _walk(naive: NaiveNumbers, rng: random.Random, length: int) -> list[tuple[str, ...]]:
    plan: list[tuple[str, ...]] = []
    state = set(naive.start)
    for _ in range(length * 8):
        if len(plan) == length:
            break
        step = _step(rng, len(naive.actions))
        try:
            after = naive.step(step, state)
        except Undefined:
            continue
        if after is not None:
            plan.append(step)
            state = after[0]
    return plan


def _step(rng: random.Random, actions: int) -> tuple[str, ...]:
    return (f"act{rng.randrange(actions)}", rng.choice(OBJECTS[:2]), rng.choice(OBJECTS))


def _ground(signatures: tuple[tuple[str, int], ...]) -> list[str]:
    choices = {0: [""], 1: [f" {x}" for x in OBJECTS], 2: [f" {x} {y}" for x in OBJECTS for y in OBJECTS]}
    return [f"({name}{objects})" for name, arity in signatures for objects in choices[arity]]


def _declaration(name: str, arity: int) -> str:
    return f"({name}{''.join(f' ?v{i} - object' for i in range(arity))})"


def _term(rng: random.Random, variables: list[str]) -> str:
    return (
        rng.choice(variables) if variables and rng.random() < 0.8 else rng.choice(OBJECTS[:1] if variables else OBJECTS)
    )


def _applied(rng: random.Random, name: str, arity: int, variables: list[str]) -> str:
    return f"({' '.join([name, *[_term(rng, variables) for _ in range(arity)]])})"


def _expression(rng: random.Random, variables: list[str], depth: int, signed: bool = True) -> str:
    """VAL reads no sign in front of an expression in a metric."""
    if depth and rng.random() < 0.45:
        parts = [_expression(rng, variables, depth - 1, signed) for _ in range(2)]
        return f"(- {parts[0]})" if signed and rng.random() < 0.1 else f"({rng.choice('+-**/')} {parts[0]} {parts[1]})"
    return _applied(rng, *rng.choice(FUNCTIONS), variables) if rng.random() < 0.6 else rng.choice(NUMBERS)


def _comparison(rng: random.Random, variables: list[str]) -> str:
    left = _applied(rng, *rng.choice(FUNCTIONS), variables) if rng.random() < 0.6 else _expression(rng, variables, 2)
    if left[0] != "(":
        left = f"(+ {left} 0)"
    return f"({rng.choice(['<', '<=', '=', '>=', '>', '>='])} {left} {_expression(rng, variables, 1)})"


def _condition(rng: random.Random, variables: list[str], predicates: list[tuple[str, int]], depth: int) -> str:
    pick = rng.random()
    if not depth or pick < 0.45:
        return _comparison(rng, variables) if rng.random() < 0.55 else _applied(rng, *rng.choice(predicates), variables)
    inner = [_condition(rng, variables, predicates, depth - 1) for _ in range(2)]
    if pick < 0.6:
        return f"(not {inner[0]})"
    if pick < 0.9:
        return f"({rng.choice(['and', 'or', 'or', 'imply'])} {inner[0]} {inner[1]})"
    bound = _condition(rng, [*variables, "?z"], predicates, depth - 1)
    return f"({rng.choice(['exists', 'forall'])} (?z - {rng.choice(['one', 'two', 'object'])}) {bound})"


def _update(rng: random.Random, variables: list[str]) -> str:
    how = rng.choice(["assign", "assign", "increase", "increase", "decrease", "scale-up", "scale-down"])
    return f"({how} {_applied(rng, *rng.choice(FUNCTIONS), variables)} {_expression(rng, variables, 2)})"


def _simple(rng: random.Random, variables: list[str]) -> str:
    if rng.random() < 0.65:
        return _update(rng, variables)
    literal = _applied(rng, *rng.choice(PREDICATES), variables)
    return literal if rng.random() < 0.6 else f"(not {literal})"


def _action(rng: random.Random, name: str, predicates: list[tuple[str, int]]) -> str:
    variables = ["?x", "?y"]
    effects = [_simple(rng, variables) for _ in range(rng.randint(1, 2))]
    if rng.random() < 0.35:
        effects.append(f"(when {_condition(rng, variables, predicates, 1)} (and {_simple(rng, variables)}))")
    if rng.random() < 0.25:
        effects.append(f"(forall (?z - two) (and {_simple(rng, ['?z'])} {_simple(rng, [*variables, '?z'])}))")
    needs = f"(and {_condition(rng, variables, predicates, 1)})" if rng.random() < 0.7 else "()"
    return f""" (:action {name} :parameters (?x - one ?y - object)
  :precondition {needs}
  :effect (and {" ".join(effects)}))"""


def _axioms(rng: random.Random) -> str:
    """`linked` is recursive, `apart` and `calm` rely on what does not follow, `heavy` looks at numbers."""
    base = rng.choice(["(q ?x ?y)", "(and (q ?x ?y) (>= (d ?x ?y) 0))", "(or (q ?x ?y) (q ?y ?x))"])
    first, second = rng.sample(["(q ?x ?w)", "(linked ?w ?y)"], 2)
    calm = rng.choice(
        ["(forall (?z - two) (not (heavy ?z)))", "(not (exists (?z - object) (and (heavy ?z) (apart ?z k))))"]
    )
    return f""" (:derived (linked ?x - object ?y - object) {base})
 (:derived (linked ?x - object ?y - object) (exists (?w - object) (and {first} {second})))
 (:derived (apart ?y - object ?x - object) (and (not (linked ?y ?x)) (not (linked ?x ?y))))
 (:derived (heavy ?x - object) (or (> (f ?x) {rng.choice(NUMBERS)}) (exists (?w - one) (and (q ?x ?w) (heavy ?w)))))
 (:derived (calm) {calm})"""
