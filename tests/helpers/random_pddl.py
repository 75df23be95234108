"""Two domains with random problems, plans, spoilt plans and spellings of plans."""

import random

from helpers.naive_pddl import Naive

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
