"""The processes that train together. Each holds the whole model; they share a step's rows and sum their gradients.

This is all of data parallelism that our step needs: its loss is divided by a constant of the whole step, so the sum of
the processes' gradients is the gradient, whatever the share of each, and one sum per step is enough.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from iterdeploy.types import Example

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True)
class Ranks:
    rank: int = 0
    """This process among `world` of them."""
    world: int = 1

    @property
    def first(self) -> bool:
        """Whether this process is the one that writes."""
        return self.rank == 0

    def share(self, rows: Sequence[Example]) -> list[Example]:
        """Those of the rows that this process takes: of every `world` rows of like length, one."""
        return sorted(rows, key=lambda row: len(row.token_ids))[self.rank :: self.world]

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

    def sum_gradients(self, parameters: "Sequence[torch.nn.Parameter]") -> None:
        """Gives every process the sum of all gradients."""
        if self.world == 1:
            return
        import torch
        from torch import distributed

        for parameter in parameters:
            if parameter.grad is None:  # this process had no row, or this row did not need that weight
                parameter.grad = torch.zeros_like(parameter)
        for work in [distributed.all_reduce(parameter.grad, async_op=True) for parameter in parameters]:
            work.wait()
