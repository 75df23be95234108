"""The text that a model is asked with, and the form in which demonstrations answer.

`compact` is for small models: the domain's name, then the facts of the initial state and of the goal, one a line, in
the order of the PDDL file (or the domain's own short rendering). The truth that plans are checked against is always
the PDDL.
"""

from iterdeploy.pddl import Problem
from iterdeploy.planning.domain import PlanningDomain, Reasoning, Step


def compact(domain: PlanningDomain, problem: Problem) -> str:
    """
    >>> print(compact(DOMAINS["blocksworld"], problem))  # doctest: +SKIP
    blocksworld
    (arm-empty)
    (clear b1)
    (on-table b1)
    goal
    (on b1 b2)
    """
    if domain.compact is not None:
        return f"{domain.name}\n{domain.compact(problem)}\n"
    facts = "\n".join(map(_atom, problem.init_list))
    goal = "\n".join(map(_atom, problem.goal_atoms()))
    return f"{domain.name}\n{facts}\ngoal\n{goal}\n"


def answer(reasoning: Reasoning, steps: list[Step]) -> str:
    """A whole answer: reasoning between <think> and </think>, then the plan between <plan> and </plan>."""
    thought = "".join(" ".join(line) + "\n" for line in reasoning)
    plan = "".join(_atom(step) + "\n" for step in steps)
    return f"<think>\n{thought}</think>\n<plan>\n{plan}</plan>"


def _atom(words: tuple[str, ...]) -> str:
    return f"({' '.join(words)})"
