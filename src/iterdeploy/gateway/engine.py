"""What the gateway needs of a model: one that answers for any generation, piece by piece."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from iterdeploy.types import Completion, Policy


@dataclass(frozen=True, slots=True)
class Ask:
    """One answer that is wanted."""

    ids: Sequence[int]
    """Token ids of the prompt."""
    limit: int
    """Tokens that it may have."""
    temperature: float
    stream: bool
    """Whether its text is wanted while it is written."""


@dataclass(frozen=True, slots=True)
class Said:
    """A whole answer."""

    completion: Completion
    source: str
    """The `source` of its trace."""


class Engine(Protocol):
    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    def answer(self, policy: Policy, ask: Ask) -> AsyncIterator[str | Said]:
        """Pieces of text, where they are wanted, and at the end the whole answer. ServerError if there is none."""
        ...
