"""The processes that train together: which rows each of them takes, and what they tell each other.

A step's loss is divided by a constant of the whole step, so the sum of the processes' gradients is the gradient,
whatever the share of each.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from iterdeploy.training.batching import length_buckets_in_order
from iterdeploy.types import Example


@dataclass(frozen=True, slots=True)
class Ranks:
    rank: int = 0
    """This process among `world` of them."""
    world: int = 1

    @property
    def first(self) -> bool:
        """Whether this process is the one that writes."""
        return self.rank == 0

    def passes(self, rows: Sequence[Example], tokens: int) -> list[list[Example]]:
        """This process's rows in batches of at most `tokens` padded tokens: every row goes to one process.

        All processes get as many batches, since a model that is divided among them needs all of them for each pass.
        One that has nothing to do in a pass gets a row of another's that weighs nothing.
        """
        ordered = sorted(rows, key=lambda row: len(row.token_ids))
        starts = range(len(ordered), 0, -self.world)
        deals = [ordered[max(0, start - self.world) : start] for start in reversed(starts)]
        dealt = iter(deals)  # one row of like length to each process; the first, of the shortest, may not go round
        batches = []
        for longest in length_buckets_in_order([deal[-1] for deal in deals], tokens):
            taken = [next(dealt) for _ in longest]
            own = [deal[self.rank] for deal in taken if self.rank < len(deal)]
            batches.append(own or [replace(taken[0][0], weight=0.0)])
        return batches

    def gather(self, value: Any) -> list[Any]:
        """The value of every process, in their order."""
        if self.world == 1:
            return [value]
        from torch import distributed

        values: list[Any] = [None] * self.world
        distributed.all_gather_object(values, value)
        return values

    def total(self, value: float) -> float:
        return float(sum(self.gather(value)))
