"""What a run is made of, chosen by its configuration and checked before anything expensive starts."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from iterdeploy import registry
from iterdeploy.config import RunConfig
from iterdeploy.curation.named import find_policies, wanted
from iterdeploy.curation.policies import Keep, compose, rewarded
from iterdeploy.models import chat
from iterdeploy.models.loading import base_policy, code_files, context_length, model_folder, tokenizer_digest
from iterdeploy.record.provenance import Facts
from iterdeploy.redaction import refuse_keys
from iterdeploy.samplers import Sampler, check_sampler, make_sampler
from iterdeploy.sections import ConfigError
from iterdeploy.steps.clock import Clock
from iterdeploy.tasks import Shown, TaskSet, demonstrated, task_set
from iterdeploy.tracking import Tracking
from iterdeploy.training.trainer import Trainer, make_trainer
from iterdeploy.types import Conversation, Policy, Prompt, Task


@dataclass(frozen=True)
class Components:
    config: RunConfig
    base: Policy
    tasks: TaskSet
    shown: Shown
    curation: Keep
    trainer: Trainer
    clock: Clock
    tracking: Tracking
    forecast_said: list[int] = field(default_factory=list)
    """The generation, once it has been said how long the run will still take."""

    def sampler(self, policy: Policy) -> Sampler:
        return make_sampler(policy, self.config)

    def prompt(self, task: Task) -> Prompt:
        """What the model is asked with first."""
        return Conversation.opening(task.prompt, self.shown(task))

    def facts(self) -> Facts:
        """What the run's provenance says of them."""
        folder = Path(self.base.base_model)
        return Facts(
            remote_code=code_files(folder) if self.config.model.trust_remote_code else None,
            tokenizer=tokenizer_digest(folder),
            code=registry.code_files(self.config),
            tasks=self.tasks.describe(),
            asks_for=wanted(find_policies(self.config.curation.policies)),
        )


def assemble(config: RunConfig) -> Components:
    """The parts of a run. ConfigError, before any model is loaded, if the configuration cannot work."""
    clock = Clock()
    refuse_keys(config)
    tracking = Tracking(config)
    check_sampler(config)
    curation = configured_curation(config)
    folder = model_folder(config.model)
    tasks = task_set(config)
    parts = Components(
        config,
        base_policy(folder),
        tasks,
        demonstrated(tasks, config.tasks),
        curation,
        make_trainer(config),
        clock,
        tracking,
    )
    _check_context(parts)
    return parts


def configured_curation(config: RunConfig) -> Keep:
    """The configured policies, and after them the weights that the objective gives."""
    policies = find_policies(config.curation.policies)
    keep, training = compose(policies), config.training
    if not training.objective.endswith("reinforce"):
        return keep
    if training.baseline != "none" and (narrow := [policy.name for policy in policies if policy.valid_only]):
        raise ConfigError(
            f'training.objective = "{training.objective}" with a baseline learns from the invalid traces as well: take '
            f'"{narrow[0]}" out of curation.policies (for example ["newest_generation"]), or set '
            'training.baseline = "none"'
        )
    return lambda traces: rewarded(training.baseline, keep(traces))


def _check_context(parts: Components) -> None:
    """Every prompt and the longest answer allowed must fit into the model's context together."""
    config, context = parts.config, context_length(Path(parts.base.base_model))
    if context is None:
        return
    longest = max(prompt_lengths(parts, [*parts.tasks.deployed(0), *parts.tasks.held_out]))
    if longest + config.sampling.max_new_tokens > context:
        raise ConfigError(
            f"sampling.max_new_tokens: the model's context holds {context} tokens, the longest prompt has {longest}, "
            f"so an answer may have at most {context - longest}, not {config.sampling.max_new_tokens}; lower it, or "
            f"lower tasks.sizes"
            if context > longest
            else f"tasks.sizes: the longest prompt has {longest} tokens, but the model's context holds only {context}"
        )


def prompt_lengths(parts: Components, tasks: Sequence[Task]) -> list[int]:
    """Tokens of each task's prompt as the model is asked with it."""
    return chat.prompt_lengths(Path(parts.base.base_model), list(map(parts.prompt, tasks)), parts.config.model)
