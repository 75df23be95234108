"""What a reference planner's plan of a task costs: the yardstick for the costs of a model's plans."""

from functools import lru_cache

from iterdeploy.pddl import Domain, Problem, validate_steps
from iterdeploy.planning.domain import PlanningDomain, Step
from iterdeploy.planning.domains import DOMAINS
from iterdeploy.planning.downward import DownwardError, find_downward, reference_plan
from iterdeploy.planning.parsed import domain_of, problem_of
from iterdeploy.sections import ConfigError


def check_references(planner: str) -> None:
    """ConfigError if the planner that `tasks.references` names is not there."""
    if planner == "downward":
        try:
            find_downward()
        except DownwardError as error:
            raise ConfigError(f"tasks.references: {error}") from None


def reference_cost(domain_text: str, problem_text: str, planner: str) -> float | None:
    """Cost of the plan of `planner` (as in `tasks.references`); None where it has none, or none that is valid.

    Fast Downward takes from a tenth of a second to a minute for each task, after which it is given up.
    """
    domain, problem = domain_of(domain_text), problem_of(problem_text, domain_text)
    if problem.metric and problem.metric.maximize:  # the ratio of what is to be large says the opposite
        return None
    plan: list[Step] | None = None
    if planner == "downward":
        try:
            plan = reference_plan(domain_text, problem_text)
        except DownwardError:
            return None
    elif planner == "scripted":
        plan = _scripted_plan(recognise(domain), problem)
    return None if plan is None else validate_steps(domain, problem, plan).cost


@lru_cache(maxsize=64)
def recognise(domain: Domain) -> PlanningDomain | None:
    """The built-in domain with the same actions and predicates, whatever it is called; None if there is none."""
    return next((ours for ours in DOMAINS.values() if _signature(domain_of(ours.pddl)) == _signature(domain)), None)


def _scripted_plan(ours: PlanningDomain | None, problem: Problem) -> list[Step] | None:
    """None where there is no scripted planner, or where the task is unlike those that its generator makes."""
    try:
        return None if ours is None else ours.solve(problem)
    except (ValueError, LookupError):
        return None


def _signature(domain: Domain) -> tuple[dict[str, int], dict[str, int]]:
    """Number of parameters of every action, and of every predicate."""
    return (
        {name: len(action.parameters) for name, action in domain.actions.items()},
        {name: len(parameters) for name, parameters in domain.predicates.items()},
    )
