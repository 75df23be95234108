"""Planning tasks, made of texts or generated."""

from typing import Any

from iterdeploy.config import TasksConfig
from iterdeploy.planning.domains import DOMAINS
from iterdeploy.planning.make import make_task
from iterdeploy.planning.rng import Rng
from iterdeploy.types import Split, Task

LAMPS = """
(define (domain lamps) (:requirements :adl :action-costs)
  (:types lamp room) (:predicates (lit ?l - lamp) (in ?l - lamp ?r - room)) (:functions (total-cost) (price ?l - lamp))
  (:action switch-on :parameters (?l - lamp) :precondition (not (lit ?l))
    :effect (and (lit ?l) (increase (total-cost) (price ?l)))))
"""


EVENING = """
(define (problem evening) (:domain lamps) (:objects red green - lamp hall attic - room)
  (:init (in red hall) (= (total-cost) 0) (= (price red) 3) (= (price green) 4))
  (:goal (and (lit red) (forall (?l - lamp) (or (lit ?l) (in ?l attic))))) (:metric minimize (total-cost)))
"""


def made(domain_text: str, problem_text: str, name: str = "x", **options: Any) -> Task:
    config = TasksConfig(deployed=1, held_out=0, **options)
    return make_task(domain_text, problem_text, name, 1, Split.DEPLOYED, config)


def generated(name: str, size: int, seed: int = 0, **options: Any) -> Task:
    domain = DOMAINS[name]
    return made(domain.pddl, domain.generate(size, Rng("prompt", name, seed), "p"), name, **options)
