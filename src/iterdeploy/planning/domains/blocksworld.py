"""Blocksworld: blocks in towers, one arm, four actions.

Tasks: `size` blocks in random towers, every block starting a new tower with probability 0.1 (as the IPC 2023 learning
track does), and the same for the goal. Names are drawn from b1 to b30 (or to b<size>), so that a model meets every
name at every size. Facts are written tower by tower from the top down, as in the track's files; practice tasks have
them in any order, and goals that say all, only what stands on what, or a part.

The scripted planner takes every tower down to the table and then builds the goal's towers from the bottom up: at most
two actions for each block in either phase. Its simplification: blocks that already stand right are moved too.
"""

from collections.abc import Sequence
from importlib.resources import files

from iterdeploy.pddl import Problem
from iterdeploy.planning.domain import PlanningDomain, SizeRamp, Step
from iterdeploy.planning.domains import blocksworld_reasoning
from iterdeploy.planning.domains.blocksworld_reasoning import act, all_down, think, towers
from iterdeploy.planning.domains.common import renamed
from iterdeploy.planning.rng import Rng

NEW_TOWER = 0.1
NAMES = 30


def generate(size: int, rng: Rng, name: str) -> str:
    initial, goal = _draw(size, rng)
    return _text(name, ["(arm-empty)", *_facts(initial)], _facts(goal))


def practice(size: int, rng: Rng, name: str) -> str:
    """Facts in any order; a third of the goals complete, a third only what stands on what, a third a part of either."""
    while True:
        initial, goal = _draw(size, rng)
        wanted = _facts(goal)
        kind = rng.below(3)
        if kind and not (kind == 2 and rng.chance(0.5)):
            wanted = [fact for fact in wanted if fact.startswith("(on ")]
        if kind == 2 and wanted:
            wanted = rng.sample(wanted, rng.between(1, len(wanted)))
        if not set(wanted) <= set(_facts(initial)):
            return _text(name, rng.shuffled(["(arm-empty)", *_facts(initial)]), rng.shuffled(wanted))


def rename(problem: Problem, rng: Rng) -> dict[str, str]:
    return renamed(list(problem.objects), "b", rng, NAMES)


def _draw(size: int, rng: Rng) -> tuple[list[list[str]], list[list[str]]]:
    """Towers at the start and in the goal, which differ."""
    if size < 2:
        raise ValueError(f"a blocksworld task needs at least 2 blocks, not {size}: with one block it is already solved")
    blocks = rng.sample([f"b{i + 1}" for i in range(max(size, NAMES))], size)
    initial = _towers(blocks, rng)
    goal = initial
    while sorted(goal) == sorted(initial):
        goal = _towers(rng.shuffled(blocks), rng)
    return initial, goal


def _text(name: str, initial: Sequence[str], goal: Sequence[str]) -> str:
    blocks = {word for fact in initial for word in fact.strip("()").split()[1:]}
    return "\n".join(
        [
            f"(define (problem {name})",
            " (:domain blocksworld)",
            f" (:objects {' '.join(sorted(blocks, key=lambda block: int(block[1:])))})",
            " (:init",
            *(f"  {fact}" for fact in initial),
            " )",
            " (:goal (and",
            *(f"  {fact}" for fact in goal),
            " )))",
            "",
        ]
    )


def _towers(blocks: list[str], rng: Rng) -> list[list[str]]:
    """The blocks, in their order, in towers written from the bottom up."""
    towers: list[list[str]] = []
    for block in blocks:
        if not towers or rng.chance(NEW_TOWER):
            towers.append([block])
        else:
            rng.choice(towers).append(block)
    return towers


def _facts(towers: list[list[str]]) -> list[str]:
    out: list[str] = []
    for tower in towers:
        out.append(f"(clear {tower[-1]})")
        out += [f"(on {above} {below})" for below, above in reversed(list(zip(tower, tower[1:], strict=False)))]
        out.append(f"(on-table {tower[0]})")
    return out


def solve(problem: Problem) -> list[Step]:
    return act(all_down(towers(problem.init_list), towers(problem.goal_atoms())))


DOMAIN = PlanningDomain(
    name="blocksworld",
    pddl=files(__package__).joinpath("blocksworld.pddl").read_text(encoding="utf-8"),
    size_unit="blocks",
    ramps={
        "base": SizeRamp(2, 4),
        "easy": SizeRamp(5, 30),
        "medium": SizeRamp(35, 150),
        "hard": SizeRamp(160, 500),
    },
    generate=generate,
    solve=solve,
    think=think,
    act=act,
    practice=practice,
    marks=blocksworld_reasoning.MARKS,
    rename=rename,
    names=["on", *(f"b{i + 1}" for i in range(NAMES))],
    undo={"putdown": "pickup", "pickup": "putdown", "stack": "unstack", "unstack": "stack"},
)
