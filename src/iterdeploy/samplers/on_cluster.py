"""Sampling on the nodes of a cluster, a batch each at a time, by the in-process sampler.

Which node answers a batch changes nothing: the seed belongs to the batch, and all processes use the number of threads
that this one would. So the answers are the bits of a run on one machine, as far as the nodes' processors agree.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any, Self

from iterdeploy.cluster.connection import connected
from iterdeploy.cluster.crew import Job, Making
from iterdeploy.cluster.parcels import PolicyParcel, packed
from iterdeploy.cluster.placement import sampling_shape
from iterdeploy.config import RunConfig
from iterdeploy.samplers.protocol import BatchAnswers, PromptBatch, TokenPair
from iterdeploy.samplers.transformers import TransformersSampler
from iterdeploy.types import Completion, Policy, Prompt


class SamplerOnNode:
    """The in-process sampler, inside a process on a node. It lasts until the process ends or drops it."""

    def __init__(self, parcel: PolicyParcel, config: str) -> None:
        with TemporaryDirectory(prefix="iterdeploy-") as folder:  # what is loaded needs no file
            policy = parcel.unpack(Path(folder))
            self._sampler = TransformersSampler(policy, RunConfig.model_validate_json(config)).__enter__()

    def sample(self, prompts: Sequence[Prompt], seed: int) -> list[Completion]:
        return self._sampler.sample(prompts, seed)

    def logprobs(self, rows: Sequence[TokenPair]) -> list[list[float]] | None:
        return self._sampler.logprobs(rows)


class ClusterSampler:
    source = "transformers"
    served = False
    """What the nodes load is known by its content."""

    def __init__(self, policy: Policy, config: RunConfig) -> None:
        self._policy = policy
        self._config = config

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._crew = stack.enter_context(connected(self._config.cluster))
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, traceback)

    def sample(self, prompts: Sequence[Prompt], seed: int) -> list[Completion]:
        (answered,) = self.answers([PromptBatch(prompts, seed)])
        return answered.whole()

    def answers(self, asked: Sequence[PromptBatch]) -> Iterator[BatchAnswers]:
        """Every batch, as soon as it is whole. The next ones are already under way while one is handled."""
        jobs: list[Job] = [("sample", list(batch.prompts), batch.seed) for batch in asked]
        for index, completions in self._done(jobs):
            yield BatchAnswers(index, completions)

    def logprobs(self, rows: Sequence[TokenPair]) -> list[list[float]] | None:
        ((_, found),) = self._done([("logprobs", list(rows))])
        scored: list[list[float]] | None = found
        return scored

    def _done(self, jobs: Sequence[Job]) -> Iterator[tuple[int, Any]]:
        config = self._config.cluster
        return self._crew.done(jobs, self._making, sampling_shape(config), config.samplers)

    def _making(self) -> Making:
        import torch

        model = self._config.model.model_copy(update={"threads": torch.get_num_threads()})
        config = self._config.model_copy(update={"model": model})
        return SamplerOnNode, packed(self._policy), config.model_dump_json()
