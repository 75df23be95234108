"""The records that travel between the rooms: frozen, with content hashes as ids. Imports nothing of ours.

Task -> Completion -> Verdict -> Trace -> Example -> Policy: a task is asked, a completion is what the model emitted, a
verdict is what the validator says of it, a trace is all three together, an example is what the trainer sees of a trace,
and a policy is the model of one generation.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


def content_hash(*parts: object) -> str:
    """Sixteen hexadecimal digits that depend on the JSON form of the parts alone.

    >>> content_hash("a", 1)
    '135f17a475a61afd'
    """
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), default=list)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


class Split(StrEnum):
    DEPLOYED = "deployed"
    """Tasks that users bring: their valid traces may train the next generation."""
    HELD_OUT = "held_out"
    """Tasks that only measure; nothing of them is ever trained on."""


class Status(StrEnum):
    """What the validator says of one completion."""

    VALID = "valid"
    INVALID = "invalid"
    UNPARSEABLE = "unparseable"
    """No plan could be read from the answer."""
    TRUNCATED = "truncated"
    """The answer ran into the token limit before it ended."""
    ERROR = "error"
    """The validator failed, or a server had no usable answer, which is not the model's fault: never trained on and
    never counted as solved."""


@dataclass(frozen=True, slots=True)
class Task:
    id: str
    domain: str
    size: int
    """In the domain's own unit: blocks, cars, ..."""
    split: Split
    prompt: str
    """The text that the model is asked with."""
    payload: Mapping[str, str]
    """The task set's own data; for planning the PDDL texts `domain` and `problem`."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """How completions were drawn. Recorded with each trace: importance weights need it."""

    temperature: float
    max_new_tokens: int
    dtype: str


@dataclass(frozen=True, slots=True)
class Completion:
    """What the model really emitted, never re-tokenised."""

    text: str
    prompt_token_ids: tuple[int, ...]
    token_ids: tuple[int, ...]
    """The sampled ids, the end-of-sequence token included where one was sampled."""
    logprobs: tuple[float, ...] | None
    """log p of each sampled id at temperature 1, in nats, under the policy and precision that sampled it."""
    finish_reason: str
    """"stop" (an end-of-sequence token), "length" (the token limit), or "error": there is no answer, so no tokens."""
    reasoning_tokens: int
    """Tokens before and including the end of the reasoning; 0 without one."""


@dataclass(frozen=True, slots=True)
class Verdict:
    status: Status
    reason: str
    """In words; empty for a valid plan."""
    failed_step: int | None
    """The first step that cannot be done, counted from 1; None where no step failed."""
    plan: tuple[tuple[str, ...], ...]
    """The steps as extracted: (action, object, ...)."""
    cost: float | None
    """Plan cost; without action costs the number of steps. None unless valid."""
    strict: bool
    """The answer had exactly the required form; False: a lenient reading was needed."""
    validator: str


@dataclass(frozen=True, slots=True)
class Trace:
    id: str
    task_id: str
    domain: str
    size: int
    split: Split
    generation: int
    sample_index: int
    """From 0 to samples - 1. (task, generation, sample index) is unique in a run."""
    policy_id: str
    sampling: Sampling
    completion: Completion
    verdict: Verdict
    source: str
    """Name of the sampler."""

    @property
    def valid(self) -> bool:
        return self.verdict.status is Status.VALID

    @property
    def plan_length(self) -> int:
        return len(self.verdict.plan)

    @property
    def key(self) -> tuple[str, int, int]:
        return (self.task_id, self.generation, self.sample_index)


@dataclass(frozen=True, slots=True)
class Example:
    """What the trainer sees of a trace: its own token ids, where the loss is, and how much it counts."""

    trace_id: str
    token_ids: tuple[int, ...]
    loss_start: int
    """Tokens before this index are the prompt and carry no loss; all later ones, the end mark included, do."""
    weight: float = 1.0
    behaviour_logprob: float | None = None
    """log p of all tokens with loss under the policy that sampled them, in nats; None where it was not recorded."""


@dataclass(frozen=True, slots=True)
class Policy:
    """The model of one generation."""

    id: str
    generation: int
    base_model: str
    """Folder of the base model."""
    weights: str | None
    """Folder of the full weights, or of the adapter over `base_model`; None: the base model itself."""
    adapter: bool
    parent_id: str | None
    curated_digest: str | None
    """Content hash of the pool that trained it."""
