"""The records that travel between the rooms: frozen, with content hashes as ids. Imports nothing of this package.

Task -> Completion -> Verdict -> Trace -> Example -> Policy: a task is asked, a completion is what one call of the model
emitted, a verdict is what the validator says of the answer, a trace is all of that together, an example is what the
trainer sees of a trace, and a policy is the model of one generation. Where an agent takes turns, an environment says an
Observation between two completions.
"""

import hashlib
import json
import math
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import chain
from typing import Any, TypeAlias


def content_hash(*parts: object) -> str:
    """Sixteen hexadecimal digits that depend on the JSON form of the parts alone.

    >>> content_hash("a", 1)
    '135f17a475a61afd'
    """
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), default=list)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


class Split(StrEnum):
    DEPLOYED = "deployed"
    """Tasks that users bring: their traces may train the next generation."""
    HELD_OUT = "held_out"
    """Tasks that only measure: nothing is ever trained on them."""


class Status(StrEnum):
    """What the validator says of one answer."""

    VALID = "valid"
    INVALID = "invalid"
    UNPARSEABLE = "unparseable"
    """Nothing that could be judged could be read from the answer."""
    TRUNCATED = "truncated"
    """The answer ran into the token limit before it ended."""
    ERROR = "error"
    """The validator failed, or a server had no usable answer, which is not the model's fault: never trained on and
    never counted as solved."""
    UNJUDGED = "unjudged"
    """There is no validator for the task: only people can say what the answer is worth."""


JUDGED = tuple(status for status in Status if status is not Status.UNJUDGED)
"""What a validator may say."""

JSON: TypeAlias = bool | int | float | str | Sequence["JSON"] | Mapping[str, "JSON"] | None
"""Plain data, as the json module reads and writes it."""

NOTHING: Mapping[str, Any] = {}


@dataclass(frozen=True, slots=True)
class Task:
    id: str
    domain: str
    size: int
    """In the domain's own unit: blocks, cars, digits, ..."""
    split: Split
    prompt: str
    """The text that the model is asked with."""
    payload: Mapping[str, str]
    """The task set's own data; for planning the PDDL texts `domain` and `problem`."""

    @classmethod
    def make(cls, *, domain: str, size: int, split: str, prompt: str, payload: Mapping[str, str] = NOTHING) -> "Task":
        """A task whose id follows from its content. ValueError for a split that is neither deployed nor held_out."""
        identifier = content_hash("task", domain, size, Split(split), prompt, dict(payload))
        return cls(identifier, domain, size, Split(split), prompt, dict(payload))


@dataclass(frozen=True, slots=True)
class Sampling:
    """How completions were drawn. Recorded with each trace: importance weights need it."""

    temperature: float
    max_new_tokens: int
    dtype: str


@dataclass(frozen=True, slots=True)
class Completion:
    """One call of the model: the ids that were sent and what it really emitted, never re-tokenised."""

    text: str
    prompt_token_ids: tuple[int, ...]
    token_ids: tuple[int, ...]
    """The sampled ids, the end-of-sequence token included where one was sampled."""
    logprobs: tuple[float, ...] | None
    """log p of each sampled id at temperature 1, in nats, under the policy and precision that sampled it."""
    finish_reason: str
    """"stop" (an end-of-sequence token), "stop_text" (a text of sampling.stop, which is part of the answer), "length"
    (the token limit), or "error" (the server returned nothing, and there are no tokens)."""
    reasoning_tokens: int
    """Tokens before and including the end of the reasoning; 0 without one."""


@dataclass(frozen=True, slots=True)
class Demonstration:
    """A task with a right answer, which a model may be shown before it is asked."""

    prompt: str
    answer: str


@dataclass(frozen=True, slots=True)
class Conversation:
    """What a model is asked with where a task's text is not all: what it is shown first, what was sent and sampled
    before, and a new message."""

    messages: tuple[str, ...]
    """What the model was sent, in order: one more than `calls`."""
    calls: tuple[Completion, ...] = ()
    shown: tuple[Demonstration, ...] = ()

    @classmethod
    def opening(cls, message: str, shown: tuple[Demonstration, ...]) -> "Prompt":
        """What a model is asked with first."""
        return cls((message,), (), shown) if shown else message


Prompt: TypeAlias = str | Conversation
"""What one call of the model is asked with: a task's text, or a conversation."""


@dataclass(frozen=True, slots=True)
class Observation:
    """What an environment says: when an episode begins, and to every action."""

    text: str = ""
    """What the model reads next."""
    reward: float = 0.0
    done: bool = False
    """The episode is over, solved or not."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the validator says of an answer. What is particular to a kind of task is in `answer` and `facts`."""

    status: Status
    reason: str = ""
    """In words; empty for a valid answer."""
    reward: float = 0.0
    """How good the answer is, in the task set's own measure; 1 for a valid answer unless the task set says more."""
    answer: JSON = None
    """What was read from the completions, as plain data; for planning the plan: [[action, object, ...], ...]."""
    facts: Mapping[str, float] = field(default_factory=dict)
    """Name -> number; for planning plan_length, strict (1: exactly the required form), cost and cost_ratio of a valid
    plan, and failed_step, the first step that cannot be done, counted from 1."""
    validator: str = ""

    @classmethod
    def valid(
        cls, answer: JSON = None, *, reward: float = 1.0, facts: Mapping[str, float] = NOTHING, validator: str = ""
    ) -> "Verdict":
        return cls(Status.VALID, "", reward, answer, facts, validator)

    @classmethod
    def invalid(
        cls,
        reason: str,
        answer: JSON = None,
        *,
        reward: float = 0.0,
        facts: Mapping[str, float] = NOTHING,
        validator: str = "",
    ) -> "Verdict":
        return cls(Status.INVALID, reason, reward, answer, facts, validator)

    @classmethod
    def unparseable(cls, reason: str, *, validator: str = "") -> "Verdict":
        """No answer could be read from the completions."""
        return cls(Status.UNPARSEABLE, reason, validator=validator)

    @classmethod
    def truncated(cls, *, validator: str = "") -> "Verdict":
        reason = "the answer ran into the token limit before it ended"
        return cls(Status.TRUNCATED, reason, validator=validator)

    @classmethod
    def unjudged(cls) -> "Verdict":
        """Nothing judges answers to this task but people."""
        return cls(Status.UNJUDGED, "no validator judges answers to this task")

    @classmethod
    def error(cls, reason: str, *, validator: str = "") -> "Verdict":
        """The validator failed: nothing is known of the answer."""
        return cls(Status.ERROR, reason, validator=validator)


@dataclass(frozen=True, slots=True)
class Totals:
    """What can be said of a trace's calls together, without reading them."""

    calls: int
    tokens: int
    """Sampled tokens."""
    reasoning_tokens: int
    logprob: float | None
    """log p of all sampled tokens at temperature 1, in nats; None where it was not recorded."""
    digest: str
    """Of the sampled token ids: equal for traces that say the same."""

    @classmethod
    def of(cls, completions: Sequence[Completion]) -> "Totals":
        logprobs = [completion.logprobs for completion in completions]
        known = [values for values in logprobs if values is not None]
        return cls(
            calls=len(completions),
            tokens=sum(len(completion.token_ids) for completion in completions),
            reasoning_tokens=sum(completion.reasoning_tokens for completion in completions),
            logprob=math.fsum(array("f", chain.from_iterable(known)))
            # as precise as they are stored
            if len(known) == len(logprobs)
            else None,
            digest=tokens_digest([completion.token_ids for completion in completions]),
        )


def tokens_digest(calls: Sequence[Sequence[int]]) -> str:
    return hashlib.sha256(repr([tuple(ids) for ids in calls]).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Trace:
    """An answer with everything that is known of it.

    A trace that comes from a store is light: `completions` reads the store when, and each time, it is looked into.
    """

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
    completions: Sequence[Completion]
    """The calls of the model that made the answer, in order: one, or several where an agent took turns."""
    totals: Totals
    verdict: Verdict
    source: str
    """Name of the sampler."""

    @classmethod
    def make(
        cls,
        task: Task,
        *,
        generation: int,
        sample_index: int,
        policy_id: str,
        sampling: Sampling,
        completions: Sequence[Completion],
        verdict: Verdict,
        source: str,
    ) -> "Trace":
        """A trace whose id follows from what was asked, who answered, and the token ids that were sampled."""
        sampled = [completion.token_ids for completion in completions]
        return cls(
            id=content_hash("trace", task.id, generation, sample_index, policy_id, *sampled),
            task_id=task.id,
            domain=task.domain,
            size=task.size,
            split=task.split,
            generation=generation,
            sample_index=sample_index,
            policy_id=policy_id,
            sampling=sampling,
            completions=tuple(completions),
            totals=Totals.of(completions),
            verdict=verdict,
            source=source,
        )

    @property
    def valid(self) -> bool:
        return self.verdict.status is Status.VALID

    @property
    def text(self) -> str:
        """What the model wrote in its last call."""
        return self.completions[-1].text

    @property
    def key(self) -> tuple[str, int, int]:
        return (self.task_id, self.generation, self.sample_index)


@dataclass(frozen=True, slots=True)
class TrainingPool:
    """What trains the next generation: trace ids with weights, in a fixed order."""

    weights: Mapping[str, float]
    """Trace id -> weight in the loss."""
    by_generation: Mapping[str, int]
    """Generation of origin -> traces; the keys are text, as in JSON."""
    digest: str
    """Content hash of ids and weights."""

    def __post_init__(self) -> None:
        if self.digest != content_hash(dict(self.weights)):
            raise ValueError("the traces and their weights do not fit the digest")


@dataclass(frozen=True, slots=True)
class Feedback:
    """What a person or a program says of a trace, next to the validator's verdict. Append-only; the latest one of each
    user counts."""

    id: str
    trace_id: str
    user: str
    judgement: str
    """"publish", "reject", "correct" (with a `correction`) or "metric" (with `metrics` alone)."""
    correction: str | None
    metrics: Mapping[str, float]
    comment: str
    at: str
    """When, in ISO 8601 and UTC."""
    consent: str
    """What the user allows to be done with it, such as "train"."""


@dataclass(frozen=True, slots=True)
class WeightedTrace:
    """A trace that curation has kept so far, with its weight in the loss."""

    trace: Trace
    weight: float = 1.0
    rank: tuple[float, ...] = ()
    """Place in the task set's order of the valid answers to one task: the smaller, the better."""
    feedback: tuple[Feedback, ...] = ()
    """The latest judgement of each user who agrees that it trains."""
    asker: str = ""
    """The user who asked for it; empty: nobody is known."""


@dataclass(frozen=True, slots=True)
class Example:
    """What the trainer sees of a trace: its own token ids, where the loss is, and how much it counts.

    Calls that continue exactly what was sent and sampled before are one example; other calls are examples of their own.
    """

    trace_id: str
    token_ids: tuple[int, ...]
    spans: tuple[tuple[int, int], ...]
    """[start, end) of the tokens that the model sampled, which carry loss, the end marks included."""
    weight: float = 1.0
    behaviour_logprob: float | None = None
    """log p of all tokens with loss under the policy that sampled them, in nats; None where it was not recorded."""
    part: int = 0
    """Number of the example among those of its trace."""

    @property
    def loss_tokens(self) -> int:
        return sum(end - start for start, end in self.spans)


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
