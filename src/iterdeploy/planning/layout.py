"""The same task as others might write it: facts in any order, and goals that say only part of the end."""

from iterdeploy.pddl import validate_steps
from iterdeploy.planning.parsed import domain_of, problem_of
from iterdeploy.planning.rng import Rng

CUT = 0.5
"""Share of the tasks whose goal says only part of the end."""


def varied(problem_text: str, domain_text: str, rng: Rng) -> str:
    """A problem of one of our generators, which write one fact on a line, with its facts in any order and half of the
    goals cut to some of their facts. A goal that is reached before the first step is drawn again."""
    lines = problem_text.split("\n")
    start = lines.index(" (:init") + 1
    end = lines.index(" )", start)
    goal_start = lines.index(" (:goal (and", end) + 1
    goal_end = next(at for at in range(goal_start, len(lines)) if lines[at].startswith(" )"))
    goal = lines[goal_start:goal_end]
    initial = rng.shuffled(lines[start:end])
    cut = rng.chance(CUT)
    while True:
        kept = rng.sample(goal, rng.between(1, len(goal)) if cut else len(goal))
        text = "\n".join([*lines[:start], *initial, *lines[end:goal_start], *kept, *lines[goal_end:]])
        if not validate_steps(domain_of(domain_text), problem_of(text, domain_text), ()).valid:
            return text
