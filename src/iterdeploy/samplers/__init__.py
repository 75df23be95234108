"""Where completions come from. A sampler is loaded only when something is owed and gives its memory back on exit.

Your own is a class as `Sampler` describes, made of (policy, config) and named as "file.py:Class"; its keys stand in
[sampling.options], checked by a pydantic model Options if there is one. A class method `check(config)` may refuse a
configuration before anything is loaded.
"""

from iterdeploy import registry
from iterdeploy.config import RunConfig
from iterdeploy.samplers.on_cluster import ClusterSampler
from iterdeploy.samplers.protocol import BatchAnswers, Failed, PromptBatch, Sampler
from iterdeploy.sections import ConfigError
from iterdeploy.types import Policy

SAMPLERS = {
    "transformers": "iterdeploy.samplers.processes:ParallelSampler",
    "vllm": "iterdeploy.samplers.vllm:VllmSampler",
    "openai": "iterdeploy.samplers.openai:OpenAiSampler",
}
GROUP, KEY = "iterdeploy.samplers", "sampling.sampler"


def check_sampler(config: RunConfig) -> None:
    """ConfigError, before anything is loaded, for a sampler that cannot work."""
    if config.sampling.stop and config.sampling.sampler != "transformers":
        raise ConfigError('sampling.stop: only with sampling.sampler = "transformers"')
    kind = registry.find(config.sampling.sampler, SAMPLERS, GROUP, KEY)
    registry.options(kind, config.sampling.options, "sampling.options")
    if hasattr(kind, "check"):
        kind.check(config)


def make_sampler(policy: Policy, config: RunConfig) -> Sampler:
    if config.cluster.engine == "ray":
        return ClusterSampler(policy, config)
    sampler: Sampler = registry.find(config.sampling.sampler, SAMPLERS, GROUP, KEY)(policy, config)
    return sampler


__all__ = ["SAMPLERS", "BatchAnswers", "Failed", "PromptBatch", "Sampler", "check_sampler", "make_sampler"]
