"""PDDL on its own: read a domain and a problem once, then judge thousands of plans.

>>> from iterdeploy.pddl import Domain, Problem, validate
>>> domain = Domain.parse('''
...     (define (domain lamps)
...       (:predicates (lit ?x) (wired ?x))
...       (:action switch-on :parameters (?x)
...         :precondition (and (wired ?x) (not (lit ?x))) :effect (lit ?x)))''')
>>> problem = Problem.parse('''
...     (define (problem two) (:domain lamps) (:objects a b)
...       (:init (wired a)) (:goal (lit a)))''', domain)

>>> verdict = validate(domain, problem, "(switch-on a)")
>>> verdict.status, verdict.cost
(<Status.VALID: 'valid'>, 1)

>>> verdict = validate(domain, problem, "(switch-on a) (switch-on b)")
>>> verdict.reason
'step 2 (switch-on b): precondition (wired b) does not hold'

Covered: STRIPS, types with a hierarchy and `either`, constants, negation, equality, `or`, `imply`, quantifiers,
conditional effects, numeric fluents with metrics, and derived predicates. Anything else raises `NotSupported` when it
is read: a clear refusal is better than a wrong verdict. Where to look: `reader` (parentheses), `parsing`, `expressions`
and `model` (domains and problems), `plan` (plan files), `task`, `numbers` and `axioms` (the compiled form), `validator`
(verdicts), `val` (VAL as a second opinion).
"""

from iterdeploy.pddl.model import Action, Domain, Problem
from iterdeploy.pddl.plan import PlanSyntaxError, Step, format_plan, format_step, parse_plan
from iterdeploy.pddl.reader import NotSupported, PddlError
from iterdeploy.pddl.validator import Status, Verdict, states, validate, validate_steps

__all__ = [
    "Action",
    "Domain",
    "NotSupported",
    "PddlError",
    "PlanSyntaxError",
    "Problem",
    "Status",
    "Step",
    "Verdict",
    "format_plan",
    "format_step",
    "parse_plan",
    "states",
    "validate",
    "validate_steps",
]
