"""The plan in a verdict: what the planning task sets put into `Verdict.answer`, under "plan" where an agent acted."""

from collections.abc import Mapping

from iterdeploy.pddl import PddlError, states
from iterdeploy.planning.parsed import domain_of, problem_of
from iterdeploy.types import Verdict

Plan = tuple[tuple[str, ...], ...]
"""The steps: (action, object, ...)."""


def plan_of(verdict: Verdict) -> Plan:
    """The steps that were read in the answer; none where it has no plan, as in tasks of another kind."""
    steps = verdict.answer.get("plan") if isinstance(verdict.answer, Mapping) else verdict.answer
    if "plan_length" not in verdict.facts or not isinstance(steps, list | tuple):
        return ()
    return tuple(tuple(map(str, step)) for step in steps if isinstance(step, list | tuple))


def facts_along(payload: Mapping[str, str], steps: Plan, most: int = 200) -> list[list[str]]:
    """The facts that hold before a plan and after each of its first `most` steps, as far as they can be taken; nothing
    for a task that the package's validator cannot read."""
    found: list[list[str]] = []
    try:
        domain = domain_of(payload["domain"])
        for state in states(domain, problem_of(payload["problem"], payload["domain"]), steps[:most]):
            found.append(sorted(" ".join(map(str, atom)) for atom in state))
    except PddlError:
        pass  # what could be done is found
    return found
