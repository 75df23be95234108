"""What every sampler offers, and what goes in and comes out."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

from iterdeploy.types import Completion

Row = tuple[Sequence[int], Sequence[int]]
"""(ids of the prompt, ids of the completion)."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A batch of prompts that are answered, and stored, together."""

    prompts: Sequence[str]
    seed: int


@dataclass(frozen=True, slots=True)
class Answered:
    index: int
    """Of the batch among those asked."""
    completions: list[Completion]
    """One for each of its prompts."""


class Sampler(Protocol):
    """A context manager over one policy: the model is there inside `with` only."""

    served: bool
    """The model is in another process, which must be shown to be the policy."""

    @property
    def source(self) -> str:
        """Name of the sampler as traces record it. Inside `with` only: a server may turn out to return less."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...

    def sample(self, prompts: Sequence[str], seed: int) -> list[Completion]:
        """One completion for each prompt. The same prompts and seed give the same completions where the device can."""
        ...

    def answers(self, asked: Sequence[Asked]) -> Iterator[Answered]:
        """Every batch once, as soon as it is whole."""
        ...

    def logprobs(self, rows: Sequence[Row]) -> list[list[float]] | None:
        """log p at temperature 1 of each completion's tokens, in nats; None where the sampler cannot tell."""
        ...
