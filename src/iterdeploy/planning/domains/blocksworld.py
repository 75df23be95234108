"""Blocksworld: blocks in towers, one arm, four actions.

Tasks: `size` blocks in random towers, every block starting a new tower with probability 0.1 (as the IPC 2023 learning
track does), and the same for the goal. Names are drawn from b1 to b30 (or to b<size>), so that a model meets every
name at every size. Facts are written tower by tower from the top down, as in the track's files.

The scripted planner takes every tower down to the table and then builds the goal's towers from the bottom up: at most
two actions for each block in either phase. Its simplification: blocks that already stand right are moved too.
"""

from collections.abc import Sequence
from importlib.resources import files

from iterdeploy.pddl import Problem
from iterdeploy.planning.domain import PlanningDomain, Reasoning, SizeRamp, Step
from iterdeploy.planning.rng import Rng

NEW_TOWER = 0.1
NAMES = 30


def generate(size: int, rng: Rng, name: str) -> str:
    if size < 2:
        raise ValueError(f"a blocksworld task needs at least 2 blocks, not {size}: with one block it is already solved")
    blocks = rng.sample([f"b{i + 1}" for i in range(max(size, NAMES))], size)
    initial = _towers(blocks, rng)
    goal = initial
    while sorted(goal) == sorted(initial):
        goal = _towers(rng.shuffled(blocks), rng)
    in_order = sorted(blocks, key=lambda block: int(block[1:]))
    return "\n".join(
        [
            f"(define (problem {name})",
            " (:domain blocksworld)",
            f" (:objects {' '.join(in_order)})",
            " (:init",
            "  (arm-empty)",
            *(f"  {fact}" for fact in _facts(initial)),
            " )",
            " (:goal (and",
            *(f"  {fact}" for fact in _facts(goal)),
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


def think(problem: Problem) -> Reasoning:
    """One line for each tower to take down (from the top), then one for each tower to make (from the bottom)."""
    below_now = _below(problem.init_list)
    below_then = _below(problem.goal_atoms())
    lines: Reasoning = []
    for top in _tops(problem.init_list, below_now):
        lines.append(["take", *_chain(top, below_now)])
    for top in _tops(problem.goal_atoms(), below_then):
        lines.append(["make", *reversed(_chain(top, below_then))])
    return lines


def act(lines: Reasoning) -> list[Step]:
    """The plan that the reasoning says, step by step, whether or not the reasoning is right."""
    steps: list[Step] = []
    for verb, *blocks in lines:
        for first, second in zip(blocks, blocks[1:], strict=False):
            if verb == "take":
                steps += [("unstack", first, second), ("putdown", first)]
            else:
                steps += [("pickup", second), ("stack", second, first)]
    return steps


def solve(problem: Problem) -> list[Step]:
    return act(think(problem))


def _below(atoms: Sequence[Step]) -> dict[str, str]:
    return {atom[1]: atom[2] for atom in atoms if atom[0] == "on"}


def _tops(atoms: Sequence[Step], below: dict[str, str]) -> list[str]:
    """The topmost block of every tower, in the order in which the towers first appear."""
    covered = set(below.values())
    mentioned = dict.fromkeys(name for atom in atoms if atom[0] in ("on", "on-table", "clear") for name in atom[1:])
    return [block for block in mentioned if block not in covered]


def _chain(top: str, below: dict[str, str]) -> list[str]:
    chain = [top]
    while chain[-1] in below:
        chain.append(below[chain[-1]])
    return chain


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
    marks=("take", "make"),
    names=[f"b{i + 1}" for i in range(NAMES)],
    undo={"putdown": "pickup", "pickup": "putdown", "stack": "unstack", "unstack": "stack"},
)
