"""How a small model thinks about a Blocksworld task and acts.

There are two manners. *All down*: each tower from the top, then each wanted tower from the bottom; everything is put on
the table and picked up from there. *Direct*: first the blocks that may stay where they stand; only what stands on them
is taken down, and a block whose place is ready goes there at once ("b3 on b7"). Towers come in any order. The plan
says the same in PDDL, so writing it is copying.
"""

from collections.abc import Sequence
from itertools import pairwise

from iterdeploy.pddl import Problem
from iterdeploy.planning.domain import Reasoning, Step
from iterdeploy.planning.rng import Rng

DIRECT = 0.5
"""Share of the demonstrations that think in the direct manner."""
MARKS = ("take", "make", "stay")


def think(problem: Problem, rng: Rng) -> Reasoning:
    """A reasoning whose plan solves the task, in one of the two manners and with the towers in some order."""
    if rng.chance(DIRECT):
        return direct(problem, rng)
    now, then = towers(problem.init_list), towers(problem.goal_atoms())
    return all_down(rng.shuffled(now), rng.shuffled(then))


def all_down(now: Sequence[list[str]], then: Sequence[list[str]]) -> Reasoning:
    """One line for each tower to take down (from the top), then one for each tower to make (from the bottom)."""
    return [["take", *reversed(tower)] for tower in now] + [["make", *tower] for tower in then if len(tower) > 1]


def direct(problem: Problem, rng: Rng) -> Reasoning:
    """What stays; the other towers from the top down to what stays; the wanted towers up from what is in place."""
    goal = problem.goal_atoms()
    below = {atom[1]: atom[2] for atom in goal if atom[0] == "on"}
    now = rng.shuffled(towers(problem.init_list))
    staying = [_staying(tower, goal) for tower in now]
    placed = {block for kept in staying for block in kept}
    ready = {tower[-1] for tower, kept in zip(now, staying, strict=True) if tower == kept}
    lines: Reasoning = [["stay", *(block for kept in staying for block in kept)]]
    for tower, kept in zip(now, staying, strict=True):
        if tower == kept:
            continue
        line = ["take"]
        base, *above = tower[max(1, len(kept)) - 1 :]
        for block in reversed(above):
            line.append(block)
            if (place := below.get(block)) in ready:
                line += ["on", place]
                ready.remove(place)
            if place is None or line[-1] == place:
                placed.add(block)
                ready.add(block)
        if kept or base not in below:
            placed.add(base)
            ready.add(base)
        lines.append([*line, base])
    for wanted in rng.shuffled(towers(goal)):
        missing = [block for block in wanted if block not in placed]
        if missing:
            lines.append(["make", *wanted[-len(missing) - 1 :]])
    return lines


def act(lines: Reasoning) -> list[Step]:
    """The plan that the reasoning says, step by step, whether or not the reasoning is right."""
    steps: list[Step] = []
    for verb, *words in lines:
        if verb == "make":
            for lower, upper in pairwise(words):
                steps += [("pickup", upper), ("stack", upper, lower)]
        elif verb == "take":
            steps += _taken_down(words)
    return steps


def _taken_down(words: Sequence[str]) -> list[Step]:
    """Blocks from the top, each but the last followed by "on" and another block if it goes there."""
    places: list[tuple[str, str]] = []
    for word, after in pairwise(["", *words]):
        if word == "on" and places:
            places[-1] = (places[-1][0], after)
        elif after != "on":
            places.append((after, ""))
    steps: list[Step] = []
    for (block, place), (lower, _) in pairwise(places):
        steps += [("unstack", block, lower), ("stack", block, place) if place else ("putdown", block)]
    return steps


def towers(atoms: Sequence[Step]) -> list[list[str]]:
    """The towers that the atoms speak of, from the bottom up, in the order in which they first appear."""
    below = {atom[1]: atom[2] for atom in atoms if atom[0] == "on"}
    covered = set(below.values())
    mentioned = dict.fromkeys(name for atom in atoms if atom[0] in ("on", "on-table", "clear") for name in atom[1:])
    found = []
    for top in mentioned:
        if top not in covered:
            tower = [top]
            while tower[-1] in below:
                tower.append(below[tower[-1]])
            found.append(tower[::-1])
    return found


def _staying(tower: Sequence[str], goal: Sequence[Step]) -> list[str]:
    """The blocks of a tower, from the bottom, that the goal wants just there or that it does not mind there."""
    kept: list[str] = []
    for block, below in zip(tower, ["", *tower], strict=False):
        for predicate, first, *rest in goal:
            place = rest[0] if rest else ""
            if predicate in ("on", "on-table") and first == block and place != below:
                return kept
            if below and ((predicate == "clear" and first == below) or (place == below and first != block)):
                return kept
        kept.append(block)
    return kept
