"""The records that travel between the rooms: frozen, with content hashes as ids. Imports nothing of ours.

Task -> Completion -> Verdict -> Trace -> Example -> Policy: a task is asked, a completion is what the model emitted, a
verdict is what the validator says of it, a trace is all three together, an example is what the trainer sees of a trace,
and a policy is the model of one generation.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
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
    """The validator failed, which is not the model's fault: never trained on and never counted as solved."""


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
    """"stop" (an end-of-sequence token) or "length" (the token limit)."""
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


@dataclass(frozen=True, slots=True)
class Interval:
    """A two-sided 95% interval."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Coverage:
    """How many tasks of one split a generation solves."""

    tasks: int
    solved: float
    """Expected number of tasks solved by one sample: the sum over tasks of the share of valid samples."""
    coverage: float
    interval: Interval
    mean_plan: float | None
    """Mean length of the valid plans, in steps."""
    longest_plan: int | None
    reasoning_tokens: float | None
    """Mean over all samples."""
    pass_at_k: float
    """Share of tasks that at least one of the k samples solves."""
    unanimous_at_k: float
    """Share of tasks that all k samples solve."""
    samples_per_task: int
    by_size: Mapping[int, tuple[float, int]]
    """Size -> (coverage, tasks)."""
    plan_lengths: Mapping[int, int]
    """Length of valid plan -> how many."""
    verdicts: Mapping[str, int]
    strict_share: float | None
    """Share of the plans read that had exactly the required form."""
    readings: Mapping[str, int]
    """How many answers were read as a plan in exactly the required form ("strict"), in another one ("lenient"), or not
    at all ("none")."""
    strict_coverage: float
    """The coverage if only plans in exactly the required form counted."""
    cost_ratio: float | None
    """Mean over the valid plans of their cost by that of the reference plan; None where there are no references."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one sample, without its text and tokens: small enough to go through those of a whole run."""

    task_id: str
    generation: int
    plan: str | None
    """The plan as the store writes it; None unless valid."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over sampled answers."""

    value: float
    error: float | None
    """Standard error, with the answers of one task as a cluster; None where there is only one task."""


@dataclass(frozen=True, slots=True)
class Nats:
    """An amount of information, in nats: 0.693 of them are one bit."""

    per_token: Estimate
    per_answer: Estimate


@dataclass(frozen=True, slots=True)
class Diversity:
    """How varied a generation's answers to the tasks of one split are, and what was solved before and no longer is."""

    samples_per_task: int
    """k. More samples find more plans and solve more tasks: compare only what has the same k."""
    distinct_plans: float | None
    """Distinct valid plans of a task among its k samples: mean over the tasks that this generation solved."""
    distinct_plans_so_far: float | None
    """The same over the samples of all generations up to this one: mean over this generation's tasks solved by then."""
    distinct_per_valid: float | None
    """(sum over tasks of distinct valid plans) / (valid samples), from near 0, always the same plan, to 1."""
    entropy: Nats | None
    """-mean log p(sampled): the policy's entropy, estimated from its samples. None unless sampled at temperature 1."""
    cross_entropy: Nats | None
    """-mean log p(sampled) at any other temperature: the cross-entropy of the distribution that was sampled from,
    which is another than p, with the policy p at temperature 1. Not an entropy. None at temperature 1."""
    identical_to_pool: float | None
    """Share of the answers whose token ids are those of a trace of the same task in the pool that trained this
    generation. None where no trace of that pool is of this generation's tasks, as for generation 0."""
    valid_plans_from_pool: float | None
    """Share of the valid answers whose plan is that of a trace of the same task in that pool; the rest are new."""
    ever_solved: float
    """Share of this generation's tasks that some sample of any generation up to this one solves."""
    solved_before: int | None
    """This generation's tasks that some sample of an earlier one solved. None where none of its tasks is older."""
    lost: float | None
    """Share of the tasks solved before that no sample of this generation solves. Not all of it is forgetting: a task
    that is solved by luck once is mostly not solved again."""
    coverage_of_solved_before: float | None
    """Mean over the tasks solved before of the share of this generation's samples that are valid."""


@dataclass(frozen=True, slots=True)
class Drift:
    """How far a policy p_g is from that of generation 0, p_0, on some of the answers y that generation 0 gave."""

    answers: int
    """Answers of generation 0: held-out ones, or deployed ones where there are none; the same in every generation."""
    dtype: str
    """Precision in which they were sampled, and in which p_g was asked about them."""
    kl: Nats | None
    """mean of log p_0(y) - log p_g(y): the divergence KL(p_0 || p_g). None unless sampled at temperature 1."""
    log_ratio: Nats | None
    """The same mean at any other temperature: not a divergence, and it may be negative. None at temperature 1."""
    logprob_gap: float
    """mean of |log p(token) when it was sampled - log p(token) asked now| over tokens of this generation's own answers,
    in nats. Far from 0, the policy is not the one that sampled."""


@dataclass(frozen=True, slots=True)
class Metrics:
    """Everything that is measured of one generation."""

    generation: int
    deployed: Coverage | None
    held_out: Coverage | None
    verdicts: Mapping[str, int]
    diversity: Mapping[str, Diversity | None] = field(default_factory=dict)
    """By split."""
    drift: Drift | None = None
    """None where the sampler records no log-probabilities."""
