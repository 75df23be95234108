"""What is measured of a generation: frozen records, written as metrics.json."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Interval:
    """A two-sided 95% interval."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Point:
    """A number, with its 95% interval where it has one."""

    value: float
    low: float | None = None
    high: float | None = None

    @classmethod
    def of_error(cls, value: float, error: float | None) -> "Point":
        """From a standard error: the interval of a normal distribution."""
        return cls(value) if error is None else cls(value, value - 1.96 * error, value + 1.96 * error)


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
    readings: Mapping[str, int] = field(default_factory=dict)
    """How many answers were read as a plan in exactly the required form ("strict"), in another one ("lenient"), or not
    at all ("none")."""
    strict_coverage: float | None = None
    """The coverage if only plans in exactly the required form counted."""
    cost_ratio: float | None = None
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
    distinct_plans: float | None = None
    """Distinct valid plans of a task among its k samples: mean over the tasks that this generation solved."""
    distinct_plans_so_far: float | None = None
    """The same over the samples of all generations up to this one: mean over this generation's tasks solved by then."""
    distinct_per_valid: float | None = None
    """(sum over tasks of distinct valid plans) / (valid samples), from near 0, always the same plan, to 1."""
    entropy: Nats | None = None
    """-mean log p(sampled): the policy's entropy, estimated from its samples. None unless sampled at temperature 1."""
    cross_entropy: Nats | None = None
    """-mean log p(sampled) at any other temperature: the cross-entropy of the distribution that was sampled from,
    which is another than p, with the policy p at temperature 1. Not an entropy. None at temperature 1."""
    identical_to_pool: float | None = None
    """Share of the answers whose token ids are those of a trace of the same task in the pool that trained this
    generation. None where no trace of that pool is of this generation's tasks, as for generation 0."""
    valid_plans_from_pool: float | None = None
    """Share of the valid answers whose plan is that of a trace of the same task in that pool; the rest are new."""
    ever_solved: float | None = None
    """Share of this generation's tasks that some sample of any generation up to this one solves."""
    solved_before: int | None = None
    """This generation's tasks that some sample of an earlier one solved. None where none of its tasks is older."""
    lost: float | None = None
    """Share of the tasks solved before that no sample of this generation solves. Not all of it is forgetting: a task
    that is solved by luck once is mostly not solved again."""
    coverage_of_solved_before: float | None = None
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
    """That mean at any other temperature: not a divergence, and it may be negative. None at temperature 1."""
    logprob_gap: float
    """mean of |log p(token) when it was sampled - log p(token) asked now| over tokens of this generation's own answers,
    in nats. Far from 0, the policy is not the one that sampled."""


@dataclass(frozen=True, slots=True)
class Metrics:
    """Everything that is measured of one generation."""

    generation: int
    deployed: Coverage | None = None
    held_out: Coverage | None = None
    verdicts: Mapping[str, int] = field(default_factory=dict)
    diversity: Mapping[str, Diversity | None] = field(default_factory=dict)
    """By split."""
    drift: Drift | None = None
    """None where the sampler records no log-probabilities."""

    def coverage(self, split: str) -> Coverage | None:
        """None where no task of the split was asked."""
        return self.held_out if split == "held_out" else self.deployed
