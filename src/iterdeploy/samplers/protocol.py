"""What every sampler offers, and what goes in and comes out."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

from iterdeploy.samplers.errors import ServerError
from iterdeploy.types import Completion, Prompt

TokenPair = tuple[Sequence[int], Sequence[int]]
"""(ids of the prompt, ids of the completion)."""


@dataclass(frozen=True, slots=True)
class PromptBatch:
    """Prompts that are answered, and stored, together."""

    prompts: Sequence[Prompt]
    seed: int


@dataclass(frozen=True, slots=True)
class Failed:
    """What stands for a completion where a server had none that can be used."""

    prompt_token_ids: Sequence[int]
    reason: str


@dataclass(frozen=True, slots=True)
class BatchAnswers:
    index: int
    """The batch's place among those asked."""
    completions: Sequence[Completion | Failed]
    """One for each of its prompts."""

    def whole(self) -> list[Completion]:
        """The completions. ServerError if one of them failed."""
        for answer in self.completions:
            if isinstance(answer, Failed):
                raise ServerError(answer.reason)
        return [answer for answer in self.completions if isinstance(answer, Completion)]


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

    def sample(self, prompts: Sequence[Prompt], seed: int) -> list[Completion]:
        """One completion for each prompt; an error if there is none for one of them.

        The same prompts and seed give the same completions where the device can."""
        ...

    def answers(self, asked: Sequence[PromptBatch]) -> Iterator[BatchAnswers]:
        """Every batch once, as soon as it is whole."""
        ...

    def logprobs(self, rows: Sequence[TokenPair]) -> list[list[float]] | None:
        """log p at temperature 1 of each completion's tokens, in nats; None where the sampler cannot tell."""
        ...
