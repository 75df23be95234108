"""One training phase as data: what is trained on what, and the policy that comes out of it."""

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from iterdeploy.config import ModelConfig, TrainingConfig
from iterdeploy.record.files import read_json
from iterdeploy.sections import UserError
from iterdeploy.types import Example, Policy, content_hash

Progress = Callable[[int, int], None]
"""Called with (tokens trained, tokens in all)."""


class TrainingError(UserError):
    """Training cannot go on."""


@dataclass(frozen=True, slots=True)
class TrainingExamples:
    """What a training phase gets: the examples with the digest of the pool that they come from."""

    examples: Sequence[Example]
    digest: str


@dataclass(frozen=True, slots=True)
class Phase:
    config: TrainingConfig
    model: ModelConfig
    seed: int
    start: Policy
    """Whose weights training starts from."""
    generation: int
    """The generation of the policy that is made."""
    pool: TrainingExamples

    @property
    def identifier(self) -> str:
        """Of the policy that is made: it depends on all that decides its weights. Random numbers start from it."""
        return content_hash(
            "policy", self.start.id, self.pool.digest, self.config.identity(), self.generation, self.seed
        )

    @property
    def random(self) -> int:
        """The seed of its random numbers."""
        return int(self.identifier[:8], 16)

    @property
    def lora(self) -> bool:
        return self.config.method == "lora"

    @property
    def weighted(self) -> bool:
        """Whether traces count by their importance."""
        return self.config.objective.startswith("iw_")


def write_policy(phase: Phase, folder: Path) -> None:
    policy = {
        "id": phase.identifier,
        "generation": phase.generation,
        "base_model": phase.start.base_model,
        "adapter": phase.lora,
        "parent_id": phase.start.id,
        "curated_digest": phase.pool.digest,
    }
    (folder / "policy.json").write_text(json.dumps(policy, indent=1) + "\n", encoding="utf-8")


def read_policy(folder: Path) -> Policy:
    """The policy whose weights a training phase wrote into `folder`."""
    return Policy(weights=str(folder), **read_json(folder / "policy.json"))


def split_validation(examples: Sequence[Example], share: float) -> tuple[list[Example], list[Example]]:
    """(training examples, validation examples). The validation ones have the smallest hashes of their trace's first
    prompt, so all traces of one task fall on the same side; at least one example always trains."""
    if share == 0 or len(examples) < 2:
        return list(examples), []
    prompts = {example.trace_id: example.token_ids[: example.spans[0][0]] for example in reversed(examples)}
    digests = {trace_id: content_hash(prompt) for trace_id, prompt in prompts.items()}
    wanted = min(len(examples) - 1, max(1, round(share * len(examples))))
    threshold = sorted(digests[example.trace_id] for example in examples)[wanted]
    held = [example for example in examples if digests[example.trace_id] < threshold]
    train = [example for example in examples if digests[example.trace_id] >= threshold]
    return train, held


def check_behaviour(phase: Phase, train: Sequence[Example]) -> None:
    """Importance needs the probabilities with which traces were sampled."""
    unknown = sum(example.behaviour_logprob is None for example in train)
    if phase.weighted and unknown:
        raise TrainingError(
            f'training.objective = "{phase.config.objective}" needs the log-probabilities with which traces were '
            f"sampled, but {unknown} of {len(train)} have none: use a server that returns them, or set "
            'training.objective = "sft"'
        )


def finite(loss: float) -> float:
    if not math.isfinite(loss):
        raise TrainingError(f"training diverged (its loss is {loss}): lower training.learning_rate")
    return loss
