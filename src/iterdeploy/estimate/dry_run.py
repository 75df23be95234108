"""`iterdeploy run --dry-run`: checks everything and says what would be done, what it needs and how long it would take.

Of a model whose weights are not here it is enough to know the shape: then everything else is checked, and what the run
still lacks on this machine is listed.
"""

import argparse
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from iterdeploy.cluster.connection import check as check_cluster
from iterdeploy.config import RunConfig
from iterdeploy.curation.named import find_policies
from iterdeploy.estimate.arithmetic import (
    BANDWIDTH_SHARE,
    COMPUTE_SHARE,
    EAGER_LAUNCH,
    GPU,
    GPUS,
    MEMORY_SHARE,
    TRAINING_SHARE,
    Decoding,
    TrainingCost,
    TrainingMethod,
    Workload,
    sampling_cost,
    trace_bytes,
    training_cost,
)
from iterdeploy.estimate.doubts import doubts
from iterdeploy.models.shapes import SHAPES, Shape, known_as, read_shape
from iterdeploy.sections import ConfigError
from iterdeploy.types import Conversation, Task
from iterdeploy.wording import say

VALUE_BYTES = {"float32": 4, "bfloat16": 2}
CHARACTERS_PER_TOKEN = 3
"""Where the tokenizer is not here to say; measured on PDDL."""


@dataclass(frozen=True)
class Plan:
    """What a run would do."""

    config: RunConfig
    model: str
    shape: Shape | None
    deployed: Sequence[Task]
    held_out: Sequence[Task]
    described: Mapping[str, str]
    """What the task set says of its tasks."""
    prompts: Sequence[int]
    """Tokens of each prompt."""
    answer: int
    """Mean tokens of an answer, as assumed."""
    lacking: Sequence[str]
    """What the run needs and this machine does not have."""

    @property
    def measured(self) -> int:
        """Generations that answer: those that are trained, and the base model."""
        return self.config.generations + 1

    @property
    def answers(self) -> int:
        """Answers of one generation."""
        sampling, measured = self.config.sampling, self.config.evaluation
        each = sampling.held_out_samples + len(measured.temperatures) * measured.samples
        return len(self.deployed) * sampling.samples + len(self.held_out) * each

    @property
    def prompt(self) -> float:
        return sum(self.prompts) / len(self.prompts)

    def trained_tokens(self, generation: int) -> float:
        """At most, all epochs together: as if every answer that could be in the pool were."""
        config, training = self.config, self.config.training
        policies = find_policies(config.curation.policies)
        remembered = min([generation, *(policy.generations for policy in policies if policy.generations)])
        pool = len(self.deployed) * config.sampling.samples * remembered
        for kept in (policy.per_task for policy in policies if policy.per_task):
            pool = min(pool, len(self.deployed) * (remembered if config.tasks.renewed else 1) * kept)
        each = self.prompt + self.answer
        if training.steps:
            return training.steps * (training.rows_per_batch * each or max(training.tokens_per_batch, each))
        return training.epochs * (1 - training.validation_share) * pool * each


def dry_run(config: RunConfig, arguments: argparse.Namespace) -> int:
    if arguments.gpus > 1 and arguments.gpu is None:
        raise ConfigError("--gpus: say which ones with --gpu")
    if arguments.gpu is not None and arguments.gpu not in GPUS:
        raise ConfigError(f"--gpu: {arguments.gpu!r} is not one of {', '.join(GPUS)}")
    plan = _plan(config, arguments.answer_tokens or config.sampling.max_new_tokens // 2)
    lines = _what(plan) | (_needs(plan, plan.shape) if plan.shape else {})
    if arguments.gpu is not None:
        if plan.shape is None:
            raise ConfigError(
                f"--gpu: nothing can be estimated for {plan.model}: its config.json does not say its shape"
            )
        lines |= _hours(plan, plan.shape, GPUS[arguments.gpu], arguments.gpus)
    width = max(map(len, lines))
    for name, value in lines.items():
        say(f"{name:<{width}}  {value}")
    for one in plan.lacking:
        say(f"Lacking here: {one}")
    for doubt in doubts(config, plan.deployed, plan.held_out):
        say(f"Warning: {doubt}")
    say("The configuration is sound; nothing was loaded, sampled or written.")
    return 0


def _plan(config: RunConfig, answer: int) -> Plan:
    """ConfigError for what cannot work anywhere, or on this machine although the model is here."""
    from iterdeploy.models.loading import embedded_models
    from iterdeploy.steps.components import assemble, prompt_lengths

    folder = embedded_models().get(config.model.name, Path(config.model.name))
    hub = known_as(config.model.name)
    shape = read_shape(folder) or (SHAPES[hub] if hub else None)
    if shape is not None and not any(folder.glob("*.safetensors")):
        return _plan_without_model(config, shape, answer)
    parts = assemble(config)
    check_cluster(config.cluster)
    deployed, held_out = parts.tasks.deployed(0), parts.tasks.held_out
    lengths = prompt_lengths(parts, [*deployed, *held_out])
    return Plan(config, parts.base.base_model, shape, deployed, held_out, parts.tasks.describe(), lengths, answer, [])


def _plan_without_model(config: RunConfig, shape: Shape, answer: int) -> Plan:
    from iterdeploy.models.chat import plain_text
    from iterdeploy.models.loading import model_folder
    from iterdeploy.planning.judge import BUILT_IN, Judge
    from iterdeploy.samplers import check_sampler
    from iterdeploy.tasks import demonstrated, task_set
    from iterdeploy.tracking import check_tracking

    lacking = []
    checks = (
        lambda: model_folder(config.model),
        lambda: check_sampler(config),
        lambda: Judge(config.validation),
        lambda: check_tracking(config.tracking),
        lambda: check_cluster(config.cluster),
    )
    for check in checks:
        try:
            check()
        except ConfigError as error:
            lacking.append(str(error))
    find_policies(config.curation.policies)
    tasks = task_set(config.model_copy(update={"validation": BUILT_IN}))
    deployed, held_out = tasks.deployed(0), tasks.held_out
    shown = demonstrated(tasks, config.tasks)
    lengths = [
        math.ceil(len(plain_text(Conversation.opening(task.prompt, shown(task)), config.model)) / CHARACTERS_PER_TOKEN)
        for task in [*deployed, *held_out]
    ]
    if (longest := max(lengths) + config.sampling.max_new_tokens) > shape.context:
        raise ConfigError(
            f"sampling.max_new_tokens: prompt and answer may have {longest:,} tokens together, but the model's context "
            f"holds only {shape.context:,}; lower it, or lower tasks.sizes"
        )
    return Plan(config, config.model.name, shape, deployed, held_out, tasks.describe(), lengths, answer, lacking)


def _what(plan: Plan) -> dict[str, str]:
    config, training = plan.config, plan.config.training
    most = plan.answers * plan.measured * config.sampling.max_new_tokens
    guessed = f", at {CHARACTERS_PER_TOKEN} characters each" if plan.lacking else ""
    size = f", {_large(plan.shape.parameters)} parameters" if plan.shape else ""
    return {
        "model": plan.model + size,
        "tasks": f"{plan.described['Tasks']}; {len(plan.deployed)} deployed"
        f"{' per generation' if config.tasks.renewed else ''}, {len(plan.held_out)} held out",
        "prompts": f"{min(plan.prompts)} to {max(plan.prompts)} tokens{guessed}",
        "answers": f"{plan.answers} per generation, {plan.answers * plan.measured} in {plan.measured} generations",
        "tokens to sample": f"at most {most:,}; {plan.answers * plan.measured * plan.answer:,} if an answer has "
        f"{plan.answer:,} on average",
        "curation": ", then ".join(config.curation.policies),
        "training": f"{training.method}, "
        f"{f'{training.steps} steps' if training.steps else f'{training.epochs} epochs'} from {training.start_from}",
        "tokens to train on": f"at most {_all_trained(plan):,.0f} if an answer has {plan.answer:,} on average and all "
        "answers are as good as they can be",
        "disk": f"at most about {_megabytes(plan.measured * trace_bytes(plan.answers, plan.prompt, _most(plan)))} of "
        "traces" + (f", and {_megabytes(_policy_bytes(plan, plan.shape))} of weights" if plan.shape else ""),
    }


def _needs(plan: Plan, shape: Shape) -> dict[str, str]:
    """Bytes of memory for sampling and for training."""
    value = VALUE_BYTES[plan.config.model.dtype]
    longest = max(plan.prompts) + _most(plan)
    return {
        "memory to sample": f"{_gigabytes(shape.parameters * value)} of weights, {_gigabytes(shape.kv_bytes(value))}"
        f" per token under way, {_gigabytes(longest * shape.kv_bytes(value))} for the longest sequence allowed",
        "memory to train": f"about {_gigabytes(_training(plan, shape, next(iter(GPUS.values())), 1).memory)} with a "
        f"sequence of {longest:,} tokens",
    }


def _hours(plan: Plan, shape: Shape, gpu: GPU, count: int) -> dict[str, str]:
    """How long it takes on so many of such GPUs, and what that rests on. Each samples its share of the answers; as many
    train as `training.processes` says."""
    config = plan.config
    eager = config.sampling.sampler == "transformers"
    how = Decoding(
        config.sampling.batch_size if eager else config.server.concurrency,
        VALUE_BYTES[config.model.dtype],
        EAGER_LAUNCH if eager else 0.0,
    )
    where = f"on {'one' if count == 1 else count} {gpu.name}"
    training = min(count, config.training.processes)
    if eager and count > 1:
        raise ConfigError(
            '--gpus: sampling.sampler = "transformers" uses one GPU; set sampling.sampler = "vllm" or "openai"'
        )
    sampling = sampling_cost(shape, gpu, Workload(math.ceil(plan.answers / count), plan.prompt, plan.answer), how)
    trained = [_training(plan, shape, gpu, generation) for generation in range(1, plan.measured)]
    memory = max([sampling.memory, *(cost.memory for cost in trained)])
    if sampling.at_once == 0 or memory > gpu.memory:
        return {where: f"it does not fit: {_gigabytes(memory)} are needed, {_gigabytes(gpu.memory)} there"}
    hours = {"sampling": plan.measured * sampling.hours, "training": sum(cost.hours for cost in trained) / training}
    return {
        where: f"about {_time(sum(hours.values()))}: "
        + ", ".join(f"{_time(spent)} {activity}" for activity, spent in hours.items()),
        "  sampling": f"{_time(sampling.hours)} per generation at {count * sampling.tokens_per_second:,.0f} "
        f"tokens/s, with {count * sampling.at_once} sequences at once",
        "  training": f"at most {_time(max((cost.hours for cost in trained), default=0.0) / training)} per generation"
        + (f" on {training} of them (training.processes)" if count > 1 else "")
        + f", {_large(trained[0].trained) if trained else 'no'} parameters trained",
        "  assumed": f"{BANDWIDTH_SHARE:.0%} of {gpu.bandwidth / 1e12:g} TB/s in decoding, {COMPUTE_SHARE:.0%} of "
        f"{gpu.flops / 1e12:g} TFLOP/s in prompts and {TRAINING_SHARE:.0%} in training, "
        f"{MEMORY_SHARE:.0%} of {gpu.memory / 1e9:g} GB filled"
        + (f", {EAGER_LAUNCH * 1000:g} ms per layer and step at least" if eager else "")
        + f"; answers of {plan.answer:,} tokens (--answer-tokens). Right within a factor of two at best.",
    }


def _training(plan: Plan, shape: Shape, gpu: GPU, generation: int) -> TrainingCost:
    training = plan.config.training
    method = TrainingMethod(
        training.lora_rank if training.method == "lora" else 0,
        VALUE_BYTES[training.base_dtype],
        training.gradient_checkpointing,
        training.lora_dropout > 0,
    )
    longest = max(plan.prompts) + _most(plan)
    step = training.rows_per_batch * longest or training.tokens_per_batch
    at_once = max(longest, training.tokens_per_pass or step / training.processes)
    return training_cost(shape, gpu, method, plan.trained_tokens(generation), plan.prompt + plan.answer, at_once)


def _all_trained(plan: Plan) -> float:
    return sum(plan.trained_tokens(generation) for generation in range(1, plan.measured))


def _policy_bytes(plan: Plan, shape: Shape) -> float:
    """Of the weights that the trained generations leave, float32."""
    training = plan.config.training
    trained = shape.adapter_parameters(training.lora_rank) if training.method == "lora" else shape.parameters
    return 4.0 * trained * plan.config.generations


def _most(plan: Plan) -> int:
    return plan.config.sampling.max_new_tokens


def _large(count: float) -> str:
    """
    >>> _large(4_022_272_000), _large(1_105_024)
    ('4.02 billion', '1.11 million')
    """
    return f"{count / 1e9:.3g} billion" if count >= 1e9 else f"{count / 1e6:.3g} million"


def _megabytes(count: float) -> str:
    return f"{math.ceil(count / 1e6):,} MB"


def _gigabytes(count: float) -> str:
    """
    >>> _gigabytes(8_044_544_000), _gigabytes(147_456)
    ('8.04 GB', '0.147 MB')
    """
    return f"{count / 1e9:.3g} GB" if count >= 1e8 else f"{count / 1e6:.3g} MB"


def _time(hours: float) -> str:
    """
    >>> _time(52.3), _time(0.5), _time(0.001)
    ('52 h', '30 min', '4 s')
    """
    if hours >= 1:
        return f"{hours:.2g} h" if hours < 10 else f"{hours:,.0f} h"
    return f"{hours * 60:.0f} min" if hours * 60 >= 1 else f"{hours * 3600:.0f} s"
