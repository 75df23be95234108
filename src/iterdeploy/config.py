"""The configuration of a run, section by section (`config_file` reads it): frozen, and no key that it does not know."""

import re
from typing import Any, Literal, Self

from pydantic import (
    Field,
    SerializerFunctionWrapHandler,
    ValidationInfo,
    field_validator,
    model_serializer,
    model_validator,
)

from iterdeploy.config_deployment import DeploymentConfig
from iterdeploy.config_sampling import ClusterConfig, EvaluationConfig, SamplingConfig, ServerConfig
from iterdeploy.sections import RAMPS, Section, default, parse_sizes


class ModelConfig(Section):
    name: str = "blocksworld-1m"
    """An embedded model by name (`iterdeploy models`), or the folder of a model in the transformers layout."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Precision of sampling; training keeps float32 weights."""
    threads: int = Field(0, ge=0, le=1024)
    """PyTorch threads on the CPU; 0: one or all cores, whichever samples faster when the run starts."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    trust_remote_code: bool = False
    """Whether Python code that lies in the model's folder may run, as some models need. The run records that it did."""
    chat: Literal["auto", "always", "never"] = "auto"
    """Whether prompts go through the model's chat template; auto: if it has one."""
    thinking: Literal["default", "on", "off"] = "default"
    """For chat templates with a switch: `enable_thinking` as it is passed on; default: it is not."""
    system: str = ""
    """What stands before every conversation as the system's message, or before the text for a model without a chat
    template; empty: nothing, or what the template says by itself."""


class TasksConfig(Section):
    kind: str = "planning"
    """Name of a task set: "planning" makes tasks of its own domains, "pddl" reads those of your own files, "continuous"
    makes ways of a robot past polygons, with `sizes` their number (it needs the extra "continuous"),
    "path/to/file.py:Class" or "package.module:Class" is one of your own, with its keys in [tasks.options]."""
    domains: tuple[str, ...] = Field(("blocksworld",), strict=False)
    sizes: str | dict[str, str] = "2-4"
    """Sizes: "2-8" or "3,5,7", each equally often, or the name of a ramp, spread evenly; or a table by domain."""
    deployed: int = Field(ge=0, le=1_000_000)
    """Deployed tasks per generation and domain: their valid traces may train."""
    held_out: int = Field(ge=0, le=1_000_000)
    """Held-out tasks per domain, the same in every generation: they only measure."""
    fresh: bool = False
    """New deployed tasks in every generation; False: the same ones, as in the paper."""
    schedule: Literal["fixed", "frontier"] = "fixed"
    """Sizes of deployed tasks: all, or those around the largest that is solved, with new tasks in every generation."""
    domain_file: str = ""
    """For kind = "pddl": the domain's file. Relative paths, here and below, start from the current directory."""
    problem_files: str = ""
    """For kind = "pddl": a pattern such as "mine/p*.pddl" for the problem files."""
    held_out_share: float = Field(0.0, ge=0, lt=1)
    """For kind = "pddl": the share of the problem files, drawn by the seed, that is held out."""
    held_out_files: str = ""
    """For kind = "pddl", instead of a share: a pattern for the problem files that are held out."""
    prompt: Literal["compact", "full"] = "compact"
    """What the model reads: the facts alone, or instructions, PDDL and a worked example (for large models)."""
    names: Literal["own", "known"] | dict[str, str] = "own"
    """For kind = "pddl": the file's own names in the prompt, or those that the embedded models know; a table of
    predicate, action or constant of the file = ours says what the domain's structure leaves open."""
    examples: int = Field(0, ge=0, le=100)
    """Solved tasks of the same domain that the model is shown first, as earlier turns of the chat, or as text if it has
    no chat template: of the same sizes, and never a deployed or a held-out task."""
    layout: Literal["own", "shuffled", "partial"] = "own"
    """How the tasks of our domains are written: facts in the generator's order; in any order; or in any order, with
    half of the goals cut to some of their facts."""
    obfuscate: bool = False
    """Random names for everything in the prompt, other ones for each task: no name tells what it means."""
    references: Literal["scripted", "downward", "none"] = "scripted"
    """Whose plans the costs of valid plans are compared with: the domain's scripted planner or Fast Downward."""

    interactive: bool = False
    """One action in each turn, to which the model reads what changed or why it failed (`sampling.max_turns`)."""
    hidden: dict[str, str] = Field(default_factory=dict)
    """For interactive tasks: facts that are not always seen, and the condition under which they are, as PDDL:
    "(on ?x ?y)" = "(clear ?x)"."""

    options: dict[str, Any] = Field(default_factory=dict)
    """Keys of a task set of your own."""

    @model_validator(mode="before")
    @classmethod
    def _other_kinds_say_how_many(cls, values: Any) -> Any:
        if isinstance(values, dict) and values.get("kind", "planning") != "planning":
            return {"deployed": 0, "held_out": 0, **values}
        return values

    @model_serializer(mode="wrap")
    def _other_kinds_have_few_keys(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """A run of another kind of task does not say which planning domains it does not use."""
        values: dict[str, Any] = dump(self)
        if self.of_plans:
            return values
        unset = {key for key in values if getattr(self, key) in (default(type(self), key), 0)}
        return {key: value for key, value in values.items() if key not in unset - {"kind", "options"}}

    @field_validator("sizes", mode="before")
    @classmethod
    def _one_size_may_be_a_number(cls, value: object) -> object:
        if isinstance(value, dict):
            return {name: str(size) if type(size) is int else size for name, size in value.items()}
        return str(value) if type(value) is int else value

    @field_validator("sizes")
    @classmethod
    def _sizes_parse(cls, value: str | dict[str, str]) -> str | dict[str, str]:
        for sizes in value.values() if isinstance(value, dict) else [value]:
            if sizes not in RAMPS:
                parse_sizes(sizes)
        return value

    @field_validator("deployed")
    @classmethod
    def _some_are_deployed(cls, value: int, info: ValidationInfo) -> int:
        if value == 0 and info.data.get("kind") == "planning":
            raise ValueError("at least one deployed task is needed")
        return value

    @property
    def of_plans(self) -> bool:
        """Whether answers are plans, which have lengths, costs and steps."""
        return self.kind in ("planning", "pddl")

    def sizes_of(self, domain: str) -> str:
        return self.sizes[domain] if isinstance(self.sizes, dict) else self.sizes

    @property
    def renewed(self) -> bool:
        """Whether a generation's deployed tasks are other ones than those before it."""
        return self.fresh or self.schedule == "frontier"

    @property
    def sizes_in_words(self) -> str:
        if isinstance(self.sizes, str):
            return f"sizes {self.sizes}"
        return "sizes " + ", ".join(f"{sizes} ({domain})" for domain, sizes in self.sizes.items())


class ValidationConfig(Section):
    validator: Literal["iterdeploy", "val", "both"] = "iterdeploy"
    """Who judges plans: the package's own validator, an installed VAL, or both, where disagreement is an ERROR."""
    val_path: str = ""
    """VAL's program; empty: that of the environment variable ITERDEPLOY_VAL, else the one on PATH."""
    timeout: float = Field(60.0, gt=0, le=1e6)
    """Seconds that VAL, or a verifier of your own, may take for one answer; one that takes longer is an ERROR."""
    processes: int = Field(0, ge=0, le=1024)
    """Processes in which a verifier of your own judges; 0: as many as there are cores."""


class CurationConfig(Section):
    policies: tuple[str, ...] = Field(("valid", "best_per_task"), strict=False)
    """Applied in this order: valid, noisy(rate), all, best_per_task, newest_generation, at_most(k), sample(fraction),
    prefer(feature, strength); for what people publish: published, min_curators(k), at_most_per_user(share),
    trusted(user, ...); or functions of your own: "path/to/file.py:function"."""


class TrainingConfig(Section):
    trainer: str = "iterdeploy"
    """Who trains: the package's own trainer, or a class of your own, as in tasks.kind."""
    options: dict[str, Any] = Field(default_factory=dict)
    """Keys of a trainer of your own."""
    start_from: Literal["base", "previous"] = "base"
    """Whether each generation is trained from the base model or from the generation before it."""
    objective: Literal["sft", "reinforce", "iw_sft", "iw_reinforce"] = "sft"
    """What the pool's traces count: 1 each; their reward less a baseline; and either with importance weights (iw_)."""
    baseline: Literal["none", "mean", "leave_one_out"] = "leave_one_out"
    """For REINFORCE: what is subtracted from the reward, which is 1 for a valid trace and else 0."""
    importance: Literal["clipped", "self_normalised"] = "clipped"
    """For iw_: ratios to the behaviour policy up to `importance_clip`, or divided by their mean over the pool."""
    importance_clip: float = Field(5.0, gt=0, le=1e6)
    method: Literal["full", "lora"] = "full"
    learning_rate: float = Field(gt=0, le=10)
    epochs: int = Field(2, gt=0, le=100_000)
    steps: int = Field(0, ge=0, le=100_000_000)
    """Optimiser steps of every training phase, whatever the size of its pool; 0: as many as `epochs` passes take."""
    tokens_per_batch: int = Field(4096, gt=0, le=1_000_000_000)
    """Padded tokens of one optimiser step; a trace longer than this is a step of its own, never cut."""
    rows_per_batch: int = Field(0, ge=0, le=1_000_000)
    """Traces of one optimiser step, drawn at random; 0: as many of like length as `tokens_per_batch` holds."""
    tokens_per_pass: int = Field(0, ge=0, le=1_000_000_000)
    """Padded tokens that a step takes through the model at once, for lack of memory: the gradient is the same.
    0: `tokens_per_batch`."""
    validation_share: float = Field(0.1, ge=0, lt=1)
    """Share of the pool that is held out of training; its loss is reported."""
    weight_decay: float = Field(0.0, ge=0, le=1000)
    warmup_share: float = Field(0.1, ge=0, le=1)
    lora_rank: int = Field(16, gt=0, le=65_536)
    lora_alpha: int = Field(32, gt=0, le=1_000_000)
    lora_dropout: float = Field(0.05, ge=0, lt=1)
    bf16: bool = True
    """Mixed precision, bfloat16 products and float32 weights, where the device has such arithmetic; else float32."""
    base_dtype: Literal["float32", "bfloat16"] = "float32"
    """Under LoRA: precision of the base model's weights, which do not change; the adapter's are float32."""
    gradient_checkpointing: bool = False
    """Backward passes compute activations again instead of keeping them: far less memory, a third more time."""
    checkpoint_minutes: float = Field(10.0, ge=0, le=1e6)
    """Minutes between the states of training that are saved, from which an interrupted phase goes on."""
    processes: int = Field(1, gt=0, le=1024)
    """Processes that train together, one per GPU, each with its share of every step."""
    sharding: Literal["none", "full"] = "none"
    """Whether each process holds the whole model (DDP), or its part of every weight, gradient and optimiser state
    (FSDP), for a model that does not fit on one GPU."""

    @model_validator(mode="after")
    def _keys_fit_together(self) -> Self:
        if self.base_dtype != "float32" and self.method != "lora":
            raise ValueError(
                f'base_dtype = "{self.base_dtype}" is for weights that are not trained: set method = "lora", or leave '
                "base_dtype out"
            )
        if 0 < self.rows_per_batch < self.processes:
            raise ValueError(
                f"rows_per_batch = {self.rows_per_batch} leaves nothing to do for some of the {self.processes} "
                "processes: raise it, or set processes = 1"
            )
        if self.sharding == "full" and self.processes == 1:
            raise ValueError(
                'sharding = "full" divides the model among several processes: set processes to the number of GPUs, or '
                "leave sharding out"
            )
        return self

    def identity(self) -> dict[str, Any]:
        """What a policy's identifier says of its training. Nothing of keys that change nothing, and of those that
        came later only where they are set, so that a policy keeps its identifier."""
        values = self.model_dump(mode="json", exclude={"checkpoint_minutes"})
        later = (
            "trainer",
            "options",
            "rows_per_batch",
            "tokens_per_pass",
            "base_dtype",
            "gradient_checkpointing",
            "processes",
            "sharding",
        )
        unset = {key for key in later if values[key] == default(type(self), key)}
        return {key: value for key, value in values.items() if key not in unset}


class TrackingConfig(Section):
    """Where metrics go, apart from `metrics.jsonl`. Keys and addresses come from the trackers' own variables."""

    to: tuple[Literal["tensorboard", "wandb", "mlflow", "trackio"], ...] = Field((), strict=False)
    project: str = "iterdeploy"
    """The tracker's project, or experiment, that the run appears in."""


class MirrorConfig(Section):
    """A copy of the run's folder elsewhere, made anew after each finished output. `iterdeploy resume RUN --from URL`
    goes on from it on another machine. Needs the extra "mirror"."""

    url: str = ""
    """Where it lies, below the run's name, as fsspec opens it: "s3://bucket/runs", "gs://...", "file:///mnt/runs";
    empty: nowhere."""
    minutes: float = Field(10.0, ge=0, le=1e6)
    """Between two copies while answers come in."""

    @field_validator("url")
    @classmethod
    def _url_is_one(cls, value: str) -> str:
        if value and not re.fullmatch(r"[a-z][a-z0-9+.-]*://[^\s@?#]+", value):
            raise ValueError(
                'a URL reads like "s3://bucket/runs" or "file:///mnt/runs", without a key or a password in it'
            )
        return value


MOST_ANSWERS = 10_000_000  # of one generation


class RunConfig(Section):
    description: str = ""
    seed: int = Field(0, ge=0, le=10**12)
    generations: int = Field(5, ge=0, le=10_000)
    """Generations after the base model, which is generation 0."""
    model: ModelConfig = ModelConfig()
    tasks: TasksConfig
    validation: ValidationConfig = ValidationConfig()
    sampling: SamplingConfig = SamplingConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    server: ServerConfig = ServerConfig()
    cluster: ClusterConfig = ClusterConfig()
    curation: CurationConfig = CurationConfig()
    training: TrainingConfig
    tracking: TrackingConfig = TrackingConfig()
    mirror: MirrorConfig = MirrorConfig()
    deployment: DeploymentConfig | None = None
    """There for a live deployment only."""

    @model_validator(mode="after")
    def _a_generation_can_be_answered(self) -> Self:
        tasks, sampling = self.tasks, self.sampling
        measured = len(self.evaluation.temperatures) * self.evaluation.samples
        each = tasks.deployed * sampling.samples + tasks.held_out * (sampling.held_out_samples + measured)
        if (answers := len(tasks.domains) * each) > MOST_ANSWERS:
            raise ValueError(
                f"a generation of {answers:,} answers is above the limit of {MOST_ANSWERS:,}: lower "
                "tasks.deployed, tasks.held_out, sampling.samples or evaluation.samples"
            )
        return self

    @model_validator(mode="after")
    def _users_ask_as_they_do(self) -> Self:
        if self.deployment is not None and self.tasks.examples:
            raise ValueError(
                "tasks.examples: cannot be used with [deployment], whose users ask as they like; set it to 0"
            )
        if self.deployment is not None and self.sampling.stop:
            raise ValueError("sampling.stop: cannot be used with [deployment]; leave it out")
        return self

    @model_validator(mode="after")
    def _a_cluster_can_do_it(self) -> Self:
        if self.cluster.engine == "local":
            return self
        if self.sampling.sampler != "transformers":
            raise ValueError(
                'cluster.engine = "ray" samples with sampling.sampler = "transformers", not '
                f'"{self.sampling.sampler}": for servers leave cluster.engine = "local" and name them in '
                "server.addresses"
            )
        if self.sampling.processes > 1:
            raise ValueError("sampling.processes: these are of one machine; on a cluster set cluster.samplers")
        if self.deployment is not None:
            raise ValueError('cluster.engine = "ray": cannot be used with [deployment]; leave it out')
        return self

    @model_validator(mode="after")
    def _objective_has_what_it_needs(self) -> Self:
        objective = self.training.objective
        if objective.startswith("iw_") and self.sampling.temperature != 1:
            raise ValueError(
                f'training.objective = "{objective}" needs sampling.temperature = 1: log-probabilities are recorded at '
                "temperature 1, so at another one they are not those of the policy that sampled"
            )
        if objective.startswith("iw_") and self.sampling.narrowed:
            raise ValueError(
                f'training.objective = "{objective}" needs sampling.top_p = 1 and sampling.top_k = 0: '
                "log-probabilities are recorded of the whole distribution, and what is sampled from its likeliest "
                "tokens alone has others"
            )
        return self
