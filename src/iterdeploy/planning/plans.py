"""The plan in a verdict: what the planning task sets put into `Verdict.answer`."""

from iterdeploy.types import Verdict

Plan = tuple[tuple[str, ...], ...]
"""The steps: (action, object, ...)."""


def plan_of(verdict: Verdict) -> Plan:
    """The steps that were read in the answer; none where it has no plan, as in tasks of another kind."""
    steps = verdict.answer
    if "plan_length" not in verdict.facts or not isinstance(steps, list | tuple):
        return ()
    return tuple(tuple(map(str, step)) for step in steps if isinstance(step, list | tuple))
