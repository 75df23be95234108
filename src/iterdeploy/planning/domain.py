"""What a planning domain brings: its PDDL, a generator of solvable tasks, a scripted planner, a short rendering.

A new domain is one `.pddl`, one module with these functions, and one line in `domains/__init__.py`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import cycle, islice

from iterdeploy.pddl import Problem
from iterdeploy.planning.rng import Rng
from iterdeploy.sections import parse_sizes

Step = tuple[str, ...]
"""One ground action: its name, then its objects, all lower case."""

Reasoning = list[list[str]]
"""What a demonstration writes between <think> and </think>: lines of words."""


@dataclass(frozen=True)
class SizeRamp:
    """Sizes of one difficulty of the IPC 2023 learning track, or of our smaller base cases, both ends included."""

    low: int
    high: int


@dataclass(frozen=True)
class PlanningDomain:
    """One domain of planning tasks. Stateless: everything random comes in with the `Rng`."""

    name: str
    pddl: str
    """The domain file's text."""
    size_unit: str
    """What a task's size counts, in the plural: "blocks", "cars"."""
    ramps: dict[str, SizeRamp]
    """Named size ranges: "base", "easy", "medium", "hard"."""
    generate: Callable[[int, Rng, str], str]
    """(size, rng, problem name) -> PDDL text of a task that is solvable and not solved at the start."""
    solve: Callable[[Problem], list[Step]]
    """A scripted generalised policy: a valid plan, not always a shortest one."""
    think: Callable[[Problem, Rng], Reasoning] | None = None
    """A reasoning that a demonstration may show before its plan; None: the domain has no demonstrations."""
    act: Callable[[Reasoning], list[Step]] | None = None
    """The plan that a reasoning says, right or wrong; `act(think(problem, rng))` is a valid plan."""
    practice: Callable[[int, Rng, str], str] | None = None
    """As `generate`, for demonstrations only; None: they show the tasks that `generate` makes."""
    marks: Sequence[str] = ()
    """Words that begin a line of a demonstration or of the short rendering: one token each in an embedded model."""
    names: Sequence[str] = ()
    """Words further on in a line: object names and whatever else a demonstration writes."""
    rename: Callable[[Problem, Rng], Mapping[str, str]] = lambda problem, rng: {}
    """(a task from elsewhere, rng) -> its objects' names -> names that demonstrations use; others keep theirs."""
    undo: Mapping[str, str] = field(default_factory=dict)
    """Action name -> name of the action that, with the same arguments, takes it back at once."""
    compact: Callable[[Problem], str] | None = None
    """A short rendering of a task for small models; ValueError where a task cannot be shown so. None: the initial and
    goal atoms, one a line."""

    @property
    def demonstrated(self) -> bool:
        return self.think is not None and self.act is not None

    @property
    def numeric(self) -> bool:
        return ":numeric-fluents" in self.pddl

    @property
    def smallest(self) -> int:
        return min(ramp.low for ramp in self.ramps.values())

    def sizes(self, wanted: str, count: int) -> list[int]:
        """The sizes of `count` tasks: those of "2-8" or "3,5,7" in turn, or a named ramp's, evenly from end to end.

        ValueError if the domain has no tasks that small, or if sizes are not written like that.
        """
        if wanted in self.ramps:
            low, high = self.ramps[wanted].low, self.ramps[wanted].high
            return [low + i * (high - low) // max(1, count - 1) for i in range(count)]
        sizes = parse_sizes(wanted)
        if min(sizes) < self.smallest:
            raise ValueError(
                f"{wanted} goes below the smallest {self.name} task, which has {self.smallest} {self.size_unit}"
            )
        return list(islice(cycle(sizes), count))
