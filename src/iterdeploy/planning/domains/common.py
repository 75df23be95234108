"""What the domain modules share: size ramps, object names, problem text, and facts sorted by predicate."""

from collections.abc import Iterable, Sequence
from importlib.resources import files

from iterdeploy.pddl import Problem
from iterdeploy.pddl.conditions import conjuncts
from iterdeploy.planning.domain import Step
from iterdeploy.planning.rng import Rng

ATTEMPTS = 1000
"""How often a generator draws again before it gives up; each draw is likely to succeed, so this is never reached."""


class PolicyFailed(ValueError):
    """A task that the domain's scripted planner cannot solve, though it may have a plan."""


def interpolate(size: int, *points: tuple[int, int]) -> int:
    """The value at `size` of the line through (size, value) points, rounded down; beyond the last, it goes on.

    >>> [interpolate(size, (1, 2), (3, 6), (5, 7)) for size in (1, 2, 3, 4, 5)]
    [2, 4, 6, 6, 7]
    """
    if size < points[0][0]:
        raise ValueError(f"the smallest size of this domain is {points[0][0]}, not {size}")
    at = max(i for i, (low, _) in enumerate(points[:-1]) if low <= size)
    (low, bottom), (high, top) = points[at], points[at + 1]
    return bottom + (size - low) * (top - bottom) // (high - low)


def names(prefix: str, count: int, rng: Rng, pool: int) -> list[str]:
    """`count` of the names prefix1, prefix2, ... up to `pool` (or `count`), in order of their numbers.

    Small tasks draw from the names of larger ones, so that a model meets every name at every size.
    """
    return [f"{prefix}{i + 1}" for i in sorted(rng.sample(range(max(count, pool)), count))]


def renamed(things: Sequence[str], prefix: str, rng: Rng, pool: int) -> dict[str, str]:
    """Each of the things -> one of the names prefix1, prefix2, ... up to `pool` (or to the number of things)."""
    numbers = rng.sample(range(max(len(things), pool)), len(things))
    return {thing: f"{prefix}{number + 1}" for thing, number in zip(things, numbers, strict=True)}


def problem_text(
    name: str,
    domain: str,
    objects: Iterable[tuple[Sequence[str], str]],
    init: Iterable[Step],
    goal: Iterable[Step],
    minimize: str = "",
) -> str:
    """PDDL of a problem; `objects` are (names, type) in the order in which they are to be declared; `minimize` is the
    function that a good plan keeps small."""
    return "\n".join(
        [
            f"(define (problem {name})",
            f" (:domain {domain})",
            " (:objects",
            *(f"  {' '.join(members)} - {kind}" for members, kind in objects if members),
            " )",
            " (:init",
            *(f"  ({' '.join(atom)})" for atom in init),
            " )",
            " (:goal (and",
            *(f"  ({' '.join(atom)})" for atom in goal),
            f" ))\n (:metric minimize ({minimize})))" if minimize else " )))",
            "",
        ]
    )


def by_predicate(atoms: Iterable[Step]) -> "Facts":
    """The arguments of all atoms under their predicate, in their order."""
    facts = Facts()
    for predicate, *arguments in atoms:
        facts.setdefault(predicate, []).append(tuple(arguments))
    return facts


class Facts(dict[str, list[tuple[str, ...]]]):
    """Predicate -> arguments of its atoms; a predicate without atoms has an empty list."""

    def __missing__(self, predicate: str) -> list[tuple[str, ...]]:
        return []

    def pairs(self, predicate: str) -> dict[str, str]:
        """First argument -> second argument, for predicates that say one thing of each object."""
        return {first: second for first, second in self[predicate]}

    def lists(self, predicate: str) -> dict[str, list[str]]:
        """First argument -> all its second arguments."""
        out: dict[str, list[str]] = {}
        for first, second in self[predicate]:
            out.setdefault(first, []).append(second)
        return out


def shown_goal(problem: Problem, predicates: Iterable[str]) -> list[Step]:
    """The goal's atoms, for a rendering that can show these predicates alone; ValueError for any other goal."""
    atoms = problem.goal_atoms()
    if len(atoms) < len(conjuncts(problem.goal)) or not {atom[0] for atom in atoms} <= set(predicates):
        raise ValueError("a short rendering cannot show this goal")
    return atoms


def domain_text(name: str) -> str:
    """The domain file next to its module."""
    return files(__package__).joinpath(f"{name}.pddl").read_text(encoding="utf-8")
