"""What an audit finds, as plain frozen records: the content of audit.json."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from iterdeploy.forms import Form

CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Amount:
    """A number with its 95% interval."""

    value: float
    low: float
    high: float
    error: float
    p: float
    """Two-sided p-value of the hypothesis that it is 0."""


@dataclass(frozen=True, slots=True)
class Kept:
    """How many answers were kept, with the 95% interval of Clopper and Pearson."""

    answers: int
    kept: int
    share: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Shares:
    """What share is kept with more of a feature and with less of it, at equal other features.

    More and less are 1 and 0 for a marker; for any other feature, half a standard deviation up and down. Between two
    answers to one task: the share of choices won by the one that has more, and by the other.
    """

    more: float
    less: float
    covariance: tuple[float, float, float]
    """Variance of `more`, covariance, variance of `less`."""
    difference: Amount
    """`more` less `less`: the average marginal effect."""


@dataclass(frozen=True, slots=True)
class Coefficient:
    """What one feature adds to the log-odds of being kept, for each unit of it, at equal other features."""

    value: float | None = None
    """None where it is infinite or cannot be told."""
    low: float | None = None
    high: float | None = None
    """95% interval; None: unbounded on that side."""
    error: float | None = None
    p: float | None = None
    """Two-sided p-value of the hypothesis that it is 0."""
    always: int = 0
    """1 or -1: in each of the `decided` rows the higher or lower value won; 0: the coefficient is finite."""
    decided: int = 0
    note: str = ""
    """Why there is nothing to tell."""


@dataclass(frozen=True, slots=True)
class Contrast:
    """How much an effect differs between two runs, or changes from one generation to the next."""

    difference: Amount
    """Change in the difference of shares."""
    odds: Amount
    """Change in the log odds ratio of the same shares."""
    p: float
    """Of "no difference", the largest of four scales; 1 where they disagree about the direction."""


@dataclass(frozen=True, slots=True)
class OfGeneration:
    """What the new answers of one generation say of a feature."""

    coefficient: Coefficient
    shares: Shares | None


@dataclass(frozen=True, slots=True)
class Rewarded:
    """What one question says of one feature."""

    marker: bool
    """Whether the feature is only ever 0 or 1."""
    spread: float
    """Standard deviation among like answers: of one stratum, or to one task."""
    alone: Amount | None
    """Difference of shares kept for a unit of it among like answers, whatever else they have; None: does not vary."""
    alone_p: float | None
    """Corrected."""
    coefficient: Coefficient
    coefficient_p: float | None
    """Corrected."""
    shares: Shares | None
    """At equal other features; None where the coefficient is infinite or cannot be told."""
    by_generation: Mapping[int, OfGeneration]
    drift: Contrast | None
    """Change a generation; None unless three generations tell."""


@dataclass(frozen=True, slots=True)
class Group:
    """Features that cannot be told apart, tested together."""

    features: tuple[str, ...]
    p: float | None
    """Of "none of them is rewarded", at equal other features; None where it cannot be tested."""
    p_corrected: float | None
    why: str


@dataclass(frozen=True, slots=True)
class Reward:
    """One of the two questions: which answers are published, or which of two is picked."""

    question: str
    decides: bool
    """The findings go by it; otherwise it is a check."""
    decisions: int
    """Rows: answers, or pairs of answers."""
    kept: int
    features: Mapping[str, Rewarded]
    groups: Sequence[Group]
    note: str
    """Why nothing can be compared; empty if something may."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What became of the answers of one generation, or of all (`generation` is None)."""

    generation: int | None
    valid: Kept | None
    not_valid: Kept | None
    taken_out: int = 0
    """Older answers that its pool no longer holds."""
    brought_back: int = 0


@dataclass(frozen=True, slots=True)
class Change:
    """One feature in the model's own answers, over the generations."""

    means: Mapping[int, Amount]
    """Generation -> mean over its valid answers."""
    since_first: Mapping[int, Amount]
    """Generation -> difference to the first generation on the same tasks."""
    trend: Amount | None
    """Mean change from one generation to the next on the same tasks; None with one generation."""


@dataclass(frozen=True, slots=True)
class Ratio:
    """A ratio with its 95% interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Heritability:
    """What was selected of a feature, and what of it arrived in the next generation's answers to the same tasks."""

    selected: Amount
    """Sum over the generations of how much more of it the pool has than the generation's answers."""
    arrived: Amount
    """Sum over the same generations of how much more of it the next one's answers have: the last less the first."""
    realised: Ratio | None
    """`arrived` by `selected`; None where nothing was selected beyond chance."""
    by_generation: Sequence[tuple[Amount, Amount]]
    """(selected, arrived)."""


@dataclass(frozen=True, slots=True)
class Look:
    """An audit of all decisions up to one generation, as one of several that share one rate of false alarms."""

    generation: int
    decisions: int
    level: float
    """What this look may spend of the 5%."""
    p: float
    """The smallest, corrected for the number of features; 1 where there is nothing to compare."""
    question: str
    features: tuple[str, ...]
    """What it belongs to."""
    alarm: bool


@dataclass(frozen=True, slots=True)
class Power:
    """The chance that this audit would have found a preference for a marker."""

    question: str
    decisions: int
    level: float
    """Significance level of one test, after correction for their number."""
    strengths: Sequence[float]
    """Logarithms of the ratio of odds."""
    prevalences: Sequence[float]
    """Shares of the answers that have the marker."""
    found: Sequence[Sequence[float]]
    """By strength, then prevalence."""


@dataclass(frozen=True, slots=True)
class Phrase:
    """A few words in a row whose answers are kept more or less often than like answers without."""

    text: str
    share: float
    """Share of the answers that have it."""
    difference: Amount
    """Of shares kept, with the phrase less without, in the half that it was tested on."""
    q: float
    """Among phrases with this q or a smaller one, at most this share is expected to be false."""
    like: str
    """The measured feature that goes most with it."""
    correlation: float


@dataclass(frozen=True, slots=True)
class Discovery:
    question: str
    tried: int
    """Phrases, on the answers to one half of the tasks."""
    tested: int
    """Candidates, on those to the other half."""
    answers: int
    """Answers in the half that the candidates are tested on."""
    phrases: Sequence[Phrase]


@dataclass(frozen=True, slots=True)
class Taste:
    """One curator's preference for one feature."""

    difference: Amount
    """Of shares kept, with the marker less without; for any other feature, with more than the median of like answers
    less with no more."""
    q: float
    """Corrected over all curators and features."""
    named: bool
    """Among those named at most 5% are expected to be false."""


@dataclass(frozen=True, slots=True)
class Curator:
    name: str
    judged: int
    """Valid answers."""
    kept: int
    share: float
    """Share of everything that anybody kept."""
    tastes: Mapping[str, Taste]
    influence: Mapping[str, float]
    """Feature -> by how much this curator's choices move its share among all that was kept; the sum over all curators
    is how much more of it is among what was kept than among what was judged."""


@dataclass(frozen=True, slots=True)
class Curators:
    judgements: int
    curators: Sequence[Curator]
    differ: Mapping[str, float]
    """Feature -> corrected p of "all curators have the same taste in it"."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What is beyond chance: a sentence, and what it is about."""

    kind: str
    """"rewarded" (at equal other features), "together" (a group that cannot be told apart), "goes along" (alone; what
    of it is rewarded cannot be told), "drift", "warning"."""
    question: str
    features: tuple[str, ...]
    p: float
    """Corrected."""
    sentence: str


@dataclass(frozen=True, slots=True)
class Compared:
    feature: str
    question: str
    """Empty for a change of the model's own answers."""
    first: Amount
    second: Amount
    contrast: Contrast
    p_corrected: float = 1.0

    @property
    def differs(self) -> bool:
        return self.p_corrected < 1 - CONFIDENCE


@dataclass(frozen=True, slots=True)
class Comparison:
    runs: tuple[str, str]
    rewards: Sequence[Compared]
    """For each question that one of them decides by, and each feature whose effect both have."""
    changes: Sequence[Compared]
    sentences: Sequence[str]
    """What differs, and where one has nothing to compare."""


@dataclass(frozen=True, slots=True)
class Audit:
    policies: Sequence[str]
    asked_for: Mapping[str, int]
    """Feature -> 1 if the configuration's policies ask for more of it, -1 for less."""
    rivals_allowed: int | None
    """How many answers to a task curation keeps at most; None where it does not pick among them."""
    rare_actions: int
    decisions: Sequence[Decision]
    """By generation, and in all."""
    rewards: Sequence[Reward]
    changes: Mapping[str, Change]
    findings: Sequence[Finding]
    heritability: Mapping[str, Heritability]
    looks: Sequence[Look]
    power: Sequence[Power] = ()
    """Empty unless `--power` was given."""
    discoveries: Sequence[Discovery] = ()
    curators: Curators | None = None
    against: Comparison | None = None

    def reward(self, question: str) -> Reward:
        return next(reward for reward in self.rewards if reward.question == question)

    @property
    def warnings(self) -> list[Finding]:
        return [finding for finding in self.findings if finding.kind == "warning"]


AUDIT = Form(Audit, "audit.json", "iterdeploy audit")
