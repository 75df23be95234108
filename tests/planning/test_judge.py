"""From an answer to its verdict: what the judge knows of the task decides what an answer without <plan> shows."""

import json

import pytest

from iterdeploy.config import ValidationConfig
from iterdeploy.planning.judge import Judge
from iterdeploy.planning.obfuscate import disguise
from iterdeploy.types import Completion, Split, Status, Task, Verdict

DOMAIN = """(define (domain blocks)
  (:predicates (on ?x ?y) (clear ?x) (table ?x) (free) (held ?x))
  (:action take :parameters (?x)
    :precondition (and (clear ?x) (table ?x) (free))
    :effect (and (held ?x) (not (table ?x)) (not (free))))
  (:action lift :parameters (?x ?y)
    :precondition (and (on ?x ?y) (clear ?x) (free))
    :effect (and (held ?x) (clear ?y) (not (on ?x ?y)) (not (free))))
  (:action drop :parameters (?x)
    :precondition (held ?x)
    :effect (and (table ?x) (free) (not (held ?x)))))"""
PROBLEM = """(define (problem two) (:domain blocks) (:objects a b)
  (:init (on a b) (clear a) (table b) (free)) (:goal (held a)))"""


def judged(text: str, hidden: bool = False) -> Verdict:
    payload = {"domain": DOMAIN, "problem": PROBLEM}
    if hidden:
        true_names = disguise(DOMAIN, PROBLEM).true_names
        payload["true_names"] = json.dumps(true_names)
        for shown, name in true_names.items():
            text = text.replace(f"({name}", f"({shown}").replace(f" {name}", f" {shown}")
    task = Task("0", "blocks", 2, Split.DEPLOYED, "", payload)
    return Judge(ValidationConfig()).judge(task, [Completion(text, (), (), None, "stop", 0)])


@pytest.mark.parametrize("hidden", [False, True])
@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("(lift a b)", Status.VALID),
        ("To reach (held a):\n(lift a b)\nNow (held a) and (clear b).", Status.VALID),
        ("The block (the red one) first:\n```\n(lift a b)\n```\n- It works as (on a b) holds.", Status.VALID),
        ("1. (lift a b)\nIn PDDL:\n(lift a b)", Status.VALID),
        ("(lift a b)\nThis is why:\n- (lift a b): as (on a b) holds.", Status.UNPARSEABLE),
        ("(lift a b)\n\nThis reaches the goal:\n(held a)", Status.UNPARSEABLE),
        ("(lift a b)\n(held a)", Status.UNPARSEABLE),
        ("(on a b)\n(lift a b)", Status.UNPARSEABLE),
        ("(lift a b)\n(end)", Status.UNPARSEABLE),
        ("First (take b), as it is free.\n\nNext:\n(lift a b)", Status.UNPARSEABLE),
        ("(take b)\n\nNext:\n(lift a b)", Status.UNPARSEABLE),
        ("<plan>\n(lift a b)\n(held a)\n</plan>", Status.INVALID),
        ("(fly a)", Status.INVALID),
        ("(fly a)\n(held a)", Status.INVALID),
        ("(lift a b)\n(fly a)\n(drop a)", Status.INVALID),
        ("(take b)", Status.INVALID),
    ],
)
def test_what_an_answer_shows(text: str, status: Status, hidden: bool) -> None:
    verdict = judged(text, hidden)
    assert verdict.status is status, verdict.reason
    assert (verdict.answer is None) is (status is Status.UNPARSEABLE)


def test_a_domain_that_cannot_be_parsed_is_an_error_for_a_plan_and_leaves_no_plan_as_it_is() -> None:
    def verdict(text: str) -> Verdict:
        task = Task("0", "blocks", 2, Split.DEPLOYED, "", {"domain": "(define", "problem": PROBLEM})
        return Judge(ValidationConfig()).judge(task, [Completion(text, (), (), None, "stop", 0)])

    assert verdict("<plan>\n(lift a b)\n</plan>").status is Status.ERROR
    assert verdict("I give up.").status is Status.UNPARSEABLE
