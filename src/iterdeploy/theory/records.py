"""What the theory measures of a run, as plain frozen records: the content of theory.json."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from iterdeploy.forms import Form
from iterdeploy.metrics.records import Estimate, Nats


@dataclass(frozen=True, slots=True)
class Comparison:
    """A sum of gradients against the *expectation* of an independent one, each with its standard error.

    None where noise leaves nothing to compare with, be it only without one of the groups of tasks.
    """

    cosine: float | None
    """Cosine with the first sum as it is, its own noise included."""
    cosine_error: float | None
    clean_cosine: float | None
    """Of its expectation. None also where its halves are not independent."""
    clean_cosine_error: float | None
    norm_ratio: float | None
    """Length by length, of expectations where both have independent halves, else with the first as it is."""
    norm_ratio_error: float | None


@dataclass(frozen=True, slots=True)
class Condition:
    """One kind of fine-tuning, against REINFORCE at the same weights."""

    traces: int
    against: Comparison
    same_cosine: float | None = None
    """With REINFORCE on the same traces; None where it is other traces that it is made of. So below."""
    same_ratio: float | None = None


@dataclass(frozen=True, slots=True)
class Conditions:
    parameters: int
    dtype: str
    traces: int
    valid: int
    temperature: float
    """At which the run samples, and whose objective is meant."""
    sampled_in: str
    replicate_cosine: float | None
    """Of the stored traces' gradient with that of two fresh answers to each task."""
    rows: Mapping[str, Condition]


@dataclass(frozen=True, slots=True)
class PoolRow:
    generation: int
    """At whose weights the gradients are taken."""
    traces: int
    ceiling: float | None
    """The cosine that so many valid on-policy traces would be expected to have."""
    against: Comparison


@dataclass(frozen=True, slots=True)
class StepRow:
    steps: int | None
    """Optimiser steps; None: all."""
    traces: int
    mean_ratio: float
    plain: Comparison
    weighted: Comparison
    """Each trace counts by the ratio of its probabilities, now and when it was sampled."""


@dataclass(frozen=True, slots=True)
class NeverTrained:
    """Solve rates of deployed tasks of which a pool held a trace, by whether any trace of them trained the policy."""

    trained_tasks: int
    trained: Estimate
    never_tasks: int
    never: Estimate
    """Tasks that validation kept out: the control."""


@dataclass(frozen=True, slots=True)
class AsTrained:
    starts_from: int
    objective: str
    pool: Sequence[PoolRow]
    steps: Sequence[StepRow]
    never_trained: NeverTrained | None
    """None for generation 0, and where validation keeps nothing out."""


@dataclass(frozen=True, slots=True)
class Stratum:
    """Tasks of one domain and size."""

    name: str
    tasks: int
    rates: Sequence[float]
    """Solve rate in each generation."""
    z_beta: float
    z_pi: float
    correction: float | None
    """z_pi / z_beta"""
    samples: float
    """Samples of a task, over all generations."""
    in_pool: float
    in_pool_expected: float
    task_weight: float | None
    """in_pool / z_pi"""
    inverse_rate: float | None


@dataclass(frozen=True, slots=True)
class OfTask:
    task_id: str
    size: int
    rates: Sequence[float]
    rate_by_weights: float


@dataclass(frozen=True, slots=True)
class Origin:
    generation: int
    traces: int
    share_of_weight: float
    """Share of the sum of 1 / w."""


@dataclass(frozen=True, slots=True)
class Mixture:
    """Old traces, weighted."""

    tasks: int
    traces: int
    rows: Mapping[str, Condition]
    effective_size: Mapping[str, float]
    largest_share: Mapping[str, float]
    solve_rate_fresh: float
    solve_rate_by_weights: float
    by_generation: Sequence[Origin]
    gap: float | None
    """Nats between a trace's log-probability as recorded and as scored now, at most."""
    sizes: Sequence[Stratum]
    per_task: Sequence[OfTask]
    tied: float
    """Share of the tasks with a valid trace in which the best one is as good as one with other tokens."""
    favoured: Estimate | None
    """Nats by which log(pi / beta) is larger for traces that trained the policy than for other valid ones with other
    tokens of the same tasks; None where no task has both."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One generation, held against both propositions."""

    generation: int
    tasks: int
    seed: int
    proposition1: Conditions
    as_trained: AsTrained
    proposition2: Mixture | None
    """None where there is nothing old."""
    cpu_seconds: float


@dataclass(frozen=True, slots=True)
class Implied:
    """The reward that a training phase followed, as its policies tell: log pi(after) - log pi(before)."""

    kl: Nats
    """KL(before || after)."""
    auc: float | None
    """P(it is larger for a valid answer than for an invalid one); None without both."""
    auc_error: float | None
    auc_per_token: float | None
    """The AUC of the mean over an answer's tokens."""
    auc_per_token_error: float | None
    correlation: float | None
    """Over answers, with that of the run's own phase; None for that itself."""
    reasoning: float | None
    """Mean over tokens of the reasoning, in nats; None without reasoning."""
    rest: float
    """Mean over all other tokens."""


@dataclass(frozen=True, slots=True)
class Trained:
    """A training phase from the run's start: the run's own, or one in addition to it."""

    traces: int
    steps: int
    length: float
    """Norm of the change of all weights."""
    cosines: Mapping[str, float]
    """Phase -> cosine of the two changes."""
    implied: Implied


@dataclass(frozen=True, slots=True)
class Twin:
    """The phase after one generation, trained again in other ways."""

    generation: int
    starts_from: int
    answers: int
    """Held-out answers of this generation that the implied rewards are of."""
    valid: int
    phases: Mapping[str, Trained]
    """"run", "rerun", "reinforce", "on_policy", "everything"; see `theory.twin`."""
    cpu_seconds: float


@dataclass(frozen=True, slots=True)
class Theory:
    generations: Mapping[int, Entry]
    twins: Mapping[int, Twin]


THEORY = Form(Theory, "theory.json", "iterdeploy theory")
