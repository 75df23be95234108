"""What a run is made of, chosen by its configuration and checked before anything expensive starts."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from iterdeploy.clock import Clock
from iterdeploy.config import ConfigError, RunConfig
from iterdeploy.curate import CurationPolicy, compose, rewarded
from iterdeploy.models.loading import base_policy, context_length, model_folder
from iterdeploy.samplers import SAMPLERS, Sampler, check_sampler
from iterdeploy.tasksets import TaskSet, task_set
from iterdeploy.training.trainer import Trainer
from iterdeploy.types import Policy, Task


@dataclass(frozen=True)
class Parts:
    config: RunConfig
    base: Policy
    tasks: TaskSet
    curation: CurationPolicy
    trainer: Trainer
    clock: Clock

    def sampler(self, policy: Policy) -> Sampler:
        return SAMPLERS[self.config.sampling.sampler](policy, self.config)


def assemble(config: RunConfig) -> Parts:
    """The parts of a run. ConfigError, before any model is loaded, if the configuration cannot work."""
    clock = Clock()
    check_sampler(config)
    curation = _curation(config)
    folder = model_folder(config.model)
    tasks = task_set(config)
    _check_context(config, folder, [*tasks.deployed(0), *tasks.held_out])
    trainer = Trainer(config.training, config.model, config.seed)
    return Parts(config, base_policy(folder), tasks, curation, trainer, clock)


def _curation(config: RunConfig) -> CurationPolicy:
    """The configured policies, and after them the weights that the objective gives."""
    kept = compose(config.curation.policies)
    if not config.training.objective.endswith("reinforce"):
        return kept
    return lambda traces: rewarded(config.training.baseline, kept(traces))


def _check_context(config: RunConfig, folder: Path, tasks: Sequence[Task]) -> None:
    """Every prompt and the longest answer allowed must fit into the model's context together."""
    context = context_length(folder)
    if context is None:
        return
    longest = max(prompt_lengths(folder, tasks))
    if longest + config.sampling.max_new_tokens > context:
        raise ConfigError(
            f"sampling.max_new_tokens: the model's context holds {context} tokens, the longest prompt has {longest}, "
            f"so an answer may have at most {context - longest}, not {config.sampling.max_new_tokens}; lower it, or "
            f"lower tasks.sizes"
            if context > longest
            else f"tasks.sizes: the longest prompt has {longest} tokens, but the model's context holds only {context}"
        )


def prompt_lengths(folder: Path, tasks: Sequence[Task]) -> list[int]:
    """Tokens of each task's prompt."""
    from tokenizers import Tokenizer

    path = folder / "tokenizer.json"
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises nothing more specific
        raise ConfigError(f"model.name: {path} is not a tokenizer: {error}") from None
    encoded = tokenizer.encode_batch([task.prompt for task in tasks], add_special_tokens=False)
    return [len(one.ids) for one in encoded]
