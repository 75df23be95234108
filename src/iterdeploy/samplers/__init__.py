"""Where completions come from. A sampler is loaded only when something is owed and gives its memory back on exit."""

from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Protocol, Self

from iterdeploy.config import ConfigError, RunConfig
from iterdeploy.types import Completion, Policy


class Sampler(Protocol):
    """A context manager over one policy."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...

    def sample(self, prompts: Sequence[str], seed: int) -> list[Completion]:
        """One completion for each prompt. The same prompts and seed give the same completions where the device can."""
        ...


def _transformers(policy: Policy, config: RunConfig) -> Sampler:
    from iterdeploy.samplers.transformers import TransformersSampler

    return TransformersSampler(policy, config)


SAMPLERS: dict[str, Callable[[Policy, RunConfig], Sampler]] = {"transformers": _transformers}


def check_sampler(config: RunConfig) -> None:
    if config.sampling.sampler not in SAMPLERS:
        raise ConfigError(
            f"sampling.sampler: {config.sampling.sampler!r} is not a sampler; there are {', '.join(SAMPLERS)}"
        )
