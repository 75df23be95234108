"""The text that a model is asked with, and the form in which it is to answer.

`compact` is for small models: the domain's name, then the facts of the initial state and of the goal, one a line, in
the order of the PDDL file (or the domain's own short rendering). `full` is for large ones: instructions, an example
from another domain, common mistakes, and domain and task as PDDL; it stands for the prompts of the paper's authors,
whose text was never published. The truth that plans are checked against is always the PDDL.
"""

from collections.abc import Collection, Mapping
from functools import lru_cache
from importlib.resources import files

from iterdeploy.pddl import Domain, Problem, states
from iterdeploy.pddl.conditions import conjuncts, show, show_number
from iterdeploy.pddl.model import GroundAtom
from iterdeploy.planning.domain import PlanningDomain, Reasoning, Step
from iterdeploy.planning.domains import DOMAINS
from iterdeploy.planning.rng import Rng

TOTAL_COST = ("total-cost",)
EXAMPLES = {"blocksworld": 3, "ferry": 2}
"""Domain -> size of the example in full prompts; the first one whose actions are not those of the task's domain."""


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
        try:
            return f"{domain.name}\n{domain.compact(problem)}\n"
        except ValueError:
            pass  # a task of another maker, which this domain's rendering cannot show
    return facts(domain.name, problem)


def facts(name: str, problem: Problem, seen: Collection[GroundAtom] | None = None) -> str:
    """Initial state and goal as PDDL, one fact a line; before them, with their types, objects that no fact names.

    `seen`: the initial facts that are shown; None: all of them."""
    initial = [_atom(fact) for fact in problem.init_list if seen is None or fact in seen]
    initial += [
        f"(= {_atom(function)} {show_number(value)})"
        for function, value in problem.values.items()
        if function != TOTAL_COST
    ]
    goal = [show(part) for part in conjuncts(problem.goal)]
    named = set(" ".join([*initial, *goal]).replace("(", " ").replace(")", " ").split())
    others = [f"{thing} - {kind}" for thing, kind in problem.objects.items() if thing not in named]
    return "\n".join([name, *others, *initial, "goal", *goal, ""])


def full_interactive(domain_text: str, task: str, hidden: Mapping[str, str]) -> str:
    """The full prompt of a task that is solved one action at a time. `task`: what is seen of it at the start."""
    rules = "".join(f"- {fact} is seen only while {condition}.\n" for fact, condition in hidden.items())
    unseen = (
        f"Not every fact is seen. One that you have not read of may be true all the same:\n{rules}\n" if rules else ""
    )
    return _filled("interactive_prompt.txt", DOMAIN=domain_text.strip(), PROBLEM=task.strip(), HIDDEN=unseen)


def full(domain_text: str, problem_text: str, example: str) -> str:
    """`domain_text` and `problem_text` as the model is to see them; `example` as `example_for` gives it."""
    return _filled("full_prompt.txt", EXAMPLE=example, DOMAIN=domain_text.strip(), PROBLEM=problem_text.strip())


def _filled(name: str, **parts: str) -> str:
    """The template of that name with its marks, such as [[DOMAIN]], replaced."""
    template = files(__package__).joinpath(name).read_text(encoding="utf-8")
    for mark, text in parts.items():
        template = template.replace(f"[[{mark}]]", text)
    return template


def example_for(domain: Domain) -> str:
    """A worked example from a domain that shares no action with the given one, however its names are spelt."""
    taken = {_plain(action) for action in domain.actions}
    free = [name for name in EXAMPLES if not any(_plain(word) in taken for word in _actions(name))]
    return _example([*free, *EXAMPLES][0])


@lru_cache(maxsize=len(EXAMPLES))
def _example(name: str) -> str:
    ours = DOMAINS[name]
    domain = Domain.parse(ours.pddl)
    text = ours.generate(EXAMPLES[name], Rng("example", name), f"{name}-example")
    problem = Problem.parse(text, domain)
    steps = ours.solve(problem)
    return f"{ours.pddl.strip()}\n\n{text.strip()}\n\nAnswer:\n\n{answer(_changes(domain, problem, steps), steps)}"


def _changes(domain: Domain, problem: Problem, steps: list[Step]) -> Reasoning:
    """What a careful solver would note: each step with the facts that end and those that begin."""
    goal = ", ".join([show(part) for part in conjuncts(problem.goal)])
    lines: Reasoning = [[f"I have to reach {goal}. I go step by step and keep track of what is true."]]
    reached = list(states(domain, problem, steps))
    for step, before, after in zip(steps, reached, reached[1:], strict=False):
        gone, new = (", ".join(sorted(map(_atom, facts))) for facts in (before - after, after - before))
        lines.append([f"{_atom(step)}: no longer {gone}; now {new}."])
    lines.append(["All facts of the goal are true now."])
    return lines


def answer(reasoning: Reasoning, steps: list[Step]) -> str:
    """A whole answer: reasoning between <think> and </think>, then the plan between <plan> and </plan>."""
    thought = "".join(" ".join(line) + "\n" for line in reasoning)
    return f"<think>\n{thought}</think>\n{plan(steps)}"


def plan(steps: list[Step]) -> str:
    """An answer without reasoning."""
    return "<plan>\n" + "".join(_atom(step) + "\n" for step in steps) + "</plan>"


def _actions(name: str) -> list[str]:
    return list(Domain.parse(DOMAINS[name].pddl).actions)


def _plain(name: str) -> str:
    return name.replace("-", "").replace("_", "")


def _atom(words: tuple[str, ...]) -> str:
    return f"({' '.join(words)})"
