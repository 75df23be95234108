"""Synthetic demonstrations: what the embedded base model has read before its first deployment.

Each demonstration is a task with a reasoning and a plan. A share of them is *flawed*: one slip in the reasoning (the
plan then follows it faithfully) or in the plan, and the validator confirms that the plan is invalid. Of the good ones,
a share is *wasteful*: a block is picked up and put back for nothing, so the plan is valid but longer than it need be.
The model that reads the mixture knows how to plan and often does not: that is what the loop has to win back.

Everything follows from (seed, index): demonstration i is the same on every machine and in every order.
"""

from dataclasses import dataclass

from iterdeploy.pddl import Domain, Problem, Status, format_step, validate_steps
from iterdeploy.planning import prompts
from iterdeploy.planning.domain import PlanningDomain, Reasoning, Step
from iterdeploy.planning.interactive import PlanningEnvironment
from iterdeploy.planning.judge import BUILT_IN, Judge
from iterdeploy.planning.parsed import domain_of
from iterdeploy.planning.rng import Rng
from iterdeploy.types import Task


@dataclass(frozen=True)
class Mixture:
    """What share of the demonstrations is of which kind, and of which sizes the tasks are."""

    sizes: tuple[int, ...]
    """Task sizes, drawn uniformly; repeat a size to draw it more often."""
    flawed: float
    """Share of demonstrations whose plan is invalid."""
    wasteful: float
    """Share of the good ones whose plan has superfluous steps."""


@dataclass(frozen=True)
class Demonstration:
    prompt: str
    answer: str
    size: int
    flawed: bool
    later: tuple[tuple[str, str], ...] = ()
    """Of an agent: what it reads after each turn, and its next turn."""


def demonstrate(
    domain: PlanningDomain, mixture: Mixture, seed: int, index: int, *, interactive: bool = False
) -> Demonstration:
    """Demonstration `index` of the stream `seed`. An `interactive` one acts turn by turn."""
    if domain.think is None or domain.act is None:
        raise ValueError(f"the domain {domain.name} has no demonstrations: it defines no think and act functions")
    rng = Rng("demonstration", domain.name, seed, index)
    size = rng.choice(mixture.sizes)
    task = domain_of(domain.pddl)
    text = (domain.practice or domain.generate)(size, rng, f"demonstration-{index}")
    problem = Problem.parse(text, task)
    reasoning = domain.think(problem, rng)
    steps = domain.act(reasoning)
    flawed = rng.chance(mixture.flawed)
    if flawed:
        reasoning, steps = _flaw(domain, task, problem, reasoning, steps, rng)
    elif rng.chance(mixture.wasteful):
        steps = _waste(domain, steps, rng)
    prompt = prompts.compact(domain, problem)
    if not interactive:
        return Demonstration(prompt, prompts.answer(reasoning, steps), size, flawed)
    first, later = _turns(domain, text, reasoning, steps)
    return Demonstration(prompt, first, size, flawed, later)


def _turns(
    domain: PlanningDomain, text: str, reasoning: Reasoning, steps: list[Step]
) -> tuple[str, tuple[tuple[str, str], ...]]:
    """An agent that thinks in its first turn and then does one step of its plan in each: the first turn, and what it
    reads with the turns that follow. A step that cannot be done is answered as in a run, and the agent goes on."""
    environment = PlanningEnvironment(Judge(BUILT_IN))
    payload = {"domain": domain.pddl, "problem": text}
    environment.reset(Task.make(domain=domain.name, size=0, split="deployed", prompt="", payload=payload))
    said: list[str] = []
    read: list[str] = []
    for step in steps:
        said.append(format_step(step) + "\n")
        observation = environment.step(said[-1])
        if observation.done:
            break
        read.append(observation.text)
    thought = prompts.answer(reasoning, []).partition("<plan>")[0]
    return thought + "".join(said[:1]), tuple(zip(read, said[1:], strict=False))


def _flaw(
    domain: PlanningDomain, task: Domain, problem: Problem, reasoning: Reasoning, steps: list[Step], rng: Rng
) -> tuple[Reasoning, list[Step]]:
    """One slip, half of the time in the reasoning and half in the plan, that makes the plan invalid."""
    assert domain.act is not None
    in_reasoning = rng.chance(0.5)
    while True:
        thought, plan = reasoning, steps
        if in_reasoning:
            thought = _slip_in_reasoning(reasoning, problem, rng)
            plan = domain.act(thought)
        else:
            plan = _slip_in_plan(steps, problem, rng)
        if validate_steps(task, problem, plan).status is Status.INVALID:
            return thought, plan


def _slip_in_reasoning(reasoning: Reasoning, problem: Problem, rng: Rng) -> Reasoning:
    lines = [list(line) for line in reasoning]
    line = rng.choice([line for line in lines if len(line) > 1])
    at = rng.between(1, len(line) - 1)
    match rng.below(4):
        case 0:
            line[at] = rng.choice(_like(line[at], problem))
        case 1 if len(line) > 2:
            del line[at]
        case 2 if at + 1 < len(line):
            line[at], line[at + 1] = line[at + 1], line[at]
        case _:
            lines.remove(line)
    return lines


def _slip_in_plan(steps: list[Step], problem: Problem, rng: Rng) -> list[Step]:
    plan = list(steps)
    at = rng.below(len(plan))
    match rng.below(4):
        case 0:
            step = list(plan[at])
            where = rng.between(1, len(step) - 1)
            step[where] = rng.choice(_like(step[where], problem))
            plan[at] = tuple(step)
        case 1:
            del plan[at]
        case 2 if at + 1 < len(plan):
            plan[at], plan[at + 1] = plan[at + 1], plan[at]
        case _:
            del plan[at:]
    return plan


def _like(word: str, problem: Problem) -> list[str]:
    """The objects of this one's type; all of them where the word is not an object."""
    kind = problem.objects.get(word)
    return [name for name, other in problem.objects.items() if kind in (None, other)]


def _waste(domain: PlanningDomain, steps: list[Step], rng: Rng) -> list[Step]:
    """The plan with one step that is undone and done again, where a step has an inverse in the domain."""
    undoable = [i for i, step in enumerate(steps) if step[0] in domain.undo]
    if not undoable:
        return steps
    at = rng.choice(undoable)
    undo = (domain.undo[steps[at][0]], *steps[at][1:])
    return [*steps[: at + 1], undo, steps[at], *steps[at + 1 :]]
