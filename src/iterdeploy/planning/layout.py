"""The same task as others might write it: facts in any order, and goals that say only part of the end."""

from iterdeploy.pddl import validate_steps
from iterdeploy.planning.parsed import domain_of, problem_of
from iterdeploy.planning.rng import Rng

CUT = 0.5
"""Share of the tasks whose goal says only part of the end, where goals are cut."""


def rewritten(problem_text: str, domain_text: str, rng: Rng, *, cut: bool) -> str:
    """A problem of one of our generators, which write one fact on a line, with its facts in any order. `cut`: half of
    the goals keep only some of their facts; a goal that is reached before the first step is drawn again."""
    lines = problem_text.split("\n")
    start = lines.index(" (:init") + 1
    end = lines.index(" )", start)
    goal_start = lines.index(" (:goal (and", end) + 1
    goal_end = next(at for at in range(goal_start, len(lines)) if lines[at].startswith(" )"))
    initial, goal = rng.shuffled(lines[start:end]), lines[goal_start:goal_end]
    only_part = cut and rng.chance(CUT)
    while True:
        kept = rng.sample(goal, rng.between(1, len(goal)) if only_part else len(goal))
        text = "\n".join([*lines[:start], *initial, *lines[end:goal_start], *kept, *lines[goal_end:]])
        if not validate_steps(domain_of(domain_text), problem_of(text, domain_text), ()).valid:
            return text
