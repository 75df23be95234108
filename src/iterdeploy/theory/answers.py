"""Whose answers the theory is about: stored ones of any generation, and fresh ones of any policy, sampled and judged.

Everything is about some of the deployed tasks, drawn by hash. The two halves of a set of answers are the samples with
even and with odd index: given the tasks they are independent, which is what separates noise from difference.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from iterdeploy.config import RunConfig
from iterdeploy.deployment.deploy import ask, batches
from iterdeploy.models.threads import settle
from iterdeploy.record.run_dir import RunDir
from iterdeploy.samplers import PromptBatch, make_sampler
from iterdeploy.sections import UserError
from iterdeploy.steps.components import Components, assemble
from iterdeploy.training.examples import make_examples
from iterdeploy.training.phase import Phase, TrainingExamples
from iterdeploy.training.trainer import TRAINERS, read_policy, split_validation
from iterdeploy.types import Completion, Example, Policy, Split, Status, Task, Trace, Verdict, content_hash

Say = Callable[[str], None]
"""Told what is being done, a line at a time."""

GROUPS = 10
"""Tasks are dealt into this many groups; standard errors come from leaving one out at a time."""


REFERENCE = 4
"""Fresh answers to a task from which an expected gradient is estimated."""


class TheoryError(UserError):
    """The theory cannot be applied to what the run has left."""


@dataclass(frozen=True, slots=True)
class Answer:
    task_id: str
    group: int
    generation: int
    index: int
    """Index of the sample."""
    prompt: tuple[int, ...]
    tokens: tuple[int, ...]
    valid: bool
    trace_id: str
    """Empty for a fresh answer."""

    @property
    def half(self) -> int:
        """0 or 1."""
        return self.index % 2


@dataclass(frozen=True)
class Subject:
    """A generation of a run, and the deployed tasks on which it is looked at."""

    run_dir: RunDir
    parts: Components
    generation: int
    tasks: Mapping[str, Task]
    groups: Mapping[str, int]
    """Task id -> group."""
    say: Say
    drawn: dict[tuple[str, int, float], list[Answer]] = field(default_factory=dict)
    """Fresh answers by policy, answers per task, and temperature: drawn once."""

    @property
    def config(self) -> RunConfig:
        return self.parts.config

    @property
    def two_halves(self) -> bool:
        """Whether the stored answers of a task fall into two halves of the same size."""
        return self.config.sampling.samples % 2 == 0

    def stratum(self, task_id: str) -> str:
        """Domain and size of a task: two answers to one task alone say little of its solve rate."""
        return f"{self.tasks[task_id].domain} {self.tasks[task_id].size}"

    @cached_property
    def first_half(self) -> "Subject":
        """This subject with half of its tasks, for what costs several times as much."""
        return replace(self, tasks=dict(list(self.tasks.items())[: max(GROUPS, len(self.tasks) // 2)]))

    def policy(self, generation: int) -> Policy:
        """The policy of a generation; the base model is found where it is now, not where it was during the run."""
        if generation == 0:
            return self.parts.base
        saved = read_policy(self.run_dir.whole_policy(generation))
        return replace(saved, base_model=self.parts.base.base_model)

    @property
    def current(self) -> Policy:
        return self.policy(self.generation)

    @property
    def start(self) -> Policy:
        """The policy from which this generation's pool trains the next."""
        return self.parts.trainer.start(self.parts.base, self.current)

    @property
    def has_trained(self) -> bool:
        """Whether the policy that this generation's pool trains is there."""
        return self.run_dir.policy(self.generation + 1).is_dir()

    @property
    def pools(self) -> range:
        """The generations whose pools trained the current policy."""
        first = 0 if self.config.training.start_from == "previous" else max(0, self.generation - 1)
        return range(first, self.generation)

    def pooled(self, generation: int) -> list[Example]:
        """What the pool after a generation holds."""
        curated = self.run_dir.pool(generation)
        assert curated is not None, "`choose` takes no generation without a pool, and earlier ones have one"
        weights = curated.weights
        return make_examples(self.run_dir.store.each(weights), weights)

    @cached_property
    def trained_on(self) -> set[str]:
        """Ids of the traces that trained the current policy; validation kept others out."""
        share = self.config.training.validation_share
        return {row.trace_id for one in self.pools for row in split_validation(self.pooled(one), share)[0]}

    @cached_property
    def traces(self) -> list[Trace]:
        """Stored traces of these tasks, of this generation and all before it, but none that the validator failed on."""
        found = self.run_dir.store.traces(up_to=self.generation, split=Split.DEPLOYED)
        return [trace for trace in found if trace.task_id in self.tasks and trace.verdict.status is not Status.ERROR]

    def stored(self, generation: int | None = None) -> list[Answer]:
        """Answers of one generation, or of all."""
        return [self.answer(trace) for trace in self.traces if generation in (None, trace.generation)]

    def answer(self, trace: Trace) -> Answer:
        (said,) = trace.completions
        return self._answer(trace.task_id, trace.generation, trace.sample_index, said, trace.valid, trace.id)

    def _answer(self, task_id: str, generation: int, index: int, said: Completion, valid: bool, origin: str) -> Answer:
        group = self.groups[task_id]
        return Answer(task_id, group, generation, index, said.prompt_token_ids, said.token_ids, valid, origin)

    @property
    def temperature(self) -> float:
        """At which the run samples: what it deploys, measures and improves is its policy at this temperature."""
        return self.config.sampling.temperature

    @property
    def curated(self) -> dict[str, float]:
        """The pool after this generation: trace id -> weight."""
        curated = self.run_dir.pool(self.generation)
        assert curated is not None, "`choose` takes no generation without a pool"
        return dict(curated.weights)

    @property
    def phase(self) -> Phase:
        """The training phase after this generation."""
        config, curated = self.config, self.run_dir.pool(self.generation)
        assert curated is not None, "`choose` takes no generation without a pool"
        pool = TrainingExamples([], curated.digest)
        return Phase(config.training, config.model, config.seed, self.start, self.generation + 1, pool)

    def fresh(self, policy: Policy, per_task: int, temperature: float | None = None) -> list[Answer]:
        """New answers to each task, sampled by the run's own sampler and judged as in the run."""
        temperature = self.temperature if temperature is None else temperature
        key = (policy.id, per_task, temperature)
        missing = self.tasks.keys() - {answer.task_id for answer in self.drawn.get(key, [])}
        if missing:
            tasks = [task for task_id, task in self.tasks.items() if task_id in missing]
            self.say(f"sampling {per_task * len(tasks)} answers of generation {policy.generation} at {temperature}")
            self.drawn.setdefault(key, []).extend(self._draw(policy, per_task, temperature, tasks))
        return [answer for answer in self.drawn[key] if answer.task_id in self.tasks]

    def _draw(self, policy: Policy, per_task: int, temperature: float, tasks: Sequence[Task]) -> Iterator[Answer]:
        sampling = self.config.sampling.model_copy(update={"temperature": temperature})
        config = self.config.model_copy(update={"sampling": sampling})
        wanted = batches(ask(tasks, per_task), sampling.batch_size)
        asked = []
        for batch in wanted:
            keys = [(request.task.id, request.sample_index) for request in batch]
            seed = int(content_hash("theory", config.seed, policy.id, temperature, keys)[:15], 16)
            asked.append(PromptBatch([self.parts.prompt(request.task) for request in batch], seed))
        with make_sampler(policy, config) as sampler, self.parts.tasks.judges() as judges:
            if judges.turns > 1:
                raise TheoryError(
                    f"tasks.kind: {config.tasks.kind}: the theory samples answers of one turn, not episodes"
                )
            for answered in sampler.answers(asked):
                requests, said = wanted[answered.index], answered.whole()
                replies = judges.replies([(r.task, [call]) for r, call in zip(requests, said, strict=True)])
                for request, call, reply in zip(requests, said, replies, strict=True):
                    valid = isinstance(reply, Verdict) and reply.status is Status.VALID
                    yield self._answer(request.task.id, policy.generation, request.sample_index, call, valid, "")


def trained_generations(run_dir: RunDir) -> list[int]:
    """The generations whose pool trained another. TheoryError without any."""
    trained = [entry.generation for entry in run_dir.metrics() if run_dir.pool(entry.generation) is not None]
    if not trained:
        raise TheoryError(
            f"{run_dir.path}: no generation of this run has trained another yet, so there is nothing to look at; "
            "resume it, or start a run with generations = 1 or more"
        )
    return trained


def choose(run_dir: RunDir, generation: int | None, traces: int, say: Say) -> Subject:
    """The generation asked for, or the last that trained another, with as many tasks as give about `traces` traces."""
    trained = trained_generations(run_dir)
    chosen = trained[-1] if generation is None else generation
    if chosen not in trained:
        raise TheoryError(
            f"--generation {chosen}: the generations that trained another are {', '.join(map(str, trained))}"
        )
    config = run_dir.config
    if config.training.trainer not in TRAINERS:
        raise TheoryError(
            f"training.trainer = {config.training.trainer!r}: the theory is about the package's own trainer, whose "
            "steps it repeats"
        )
    if config.sampling.narrowed:
        raise TheoryError(
            "sampling.top_p, sampling.top_k: this run sampled from the likeliest tokens alone, so its answers do not "
            "have the probabilities that its policy gives them, and the theory does not apply"
        )
    parts = assemble(config)
    settle(config.model, Path(parts.base.base_model), run_dir.noted("threads"))
    of_generation = list(run_dir.store.traces(generation=chosen, split=Split.DEPLOYED))
    _check(of_generation, chosen)
    ids = sorted({trace.task_id for trace in of_generation}, key=lambda task_id: content_hash("theory", task_id))
    ids = ids[: max(2 * GROUPS, traces // config.sampling.samples)]
    if not any(trace.valid for trace in of_generation if trace.task_id in ids):
        raise TheoryError(
            f"generation {chosen}: none of the {len(ids)} tasks looked at has a valid trace; raise --traces"
        )
    tasks = {task.id: task for task in run_dir.store.tasks(ids)}
    in_order = {task_id: tasks[task_id] for task_id in ids}
    groups = {task_id: i % GROUPS for i, task_id in enumerate(ids)}
    subject = Subject(run_dir, parts, chosen, in_order, groups, say)
    for pool in (*subject.pools, chosen):
        _check_pool(run_dir, pool)
    return subject


def _check_pool(run_dir: RunDir, generation: int) -> None:
    """TheoryError if traces that trained were deleted since, as a deployment's may be."""
    curated = run_dir.pool(generation)
    weights = curated.weights if curated else {}
    gone = len(weights) - sum(1 for _ in run_dir.store.written_of(weights))
    if gone:
        raise TheoryError(
            f"{gone} of the {len(weights)} traces that trained generation {generation + 1} were deleted since (a user "
            "was forgotten, or they were to be kept no longer), so its training cannot be followed; --generation names "
            "one whose pool, and the pools before it, are whole"
        )


def _check(traces: Sequence[Trace], generation: int) -> None:
    if not any(trace.valid for trace in traces):
        raise TheoryError(
            f"generation {generation}: none of its {len(traces)} traces is valid, so neither gradient exists"
        )
    several = sum(trace.totals.calls > 1 for trace in traces)
    if several:
        raise TheoryError(
            f"generation {generation}: {several} of its {len(traces)} traces have several calls of the model; the "
            "theory is about traces of one"
        )
    unknown = sum(trace.totals.logprob is None for trace in traces if trace.totals.tokens)
    if unknown:
        raise TheoryError(
            f"generation {generation}: {unknown} of its {len(traces)} traces have no recorded log-probabilities, so "
            "nothing shows that the weights on the disk are those that sampled; sample with a sampler that records them"
        )
