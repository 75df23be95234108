"""Where completions come from. A sampler is loaded only when something is owed and gives its memory back on exit."""

from collections.abc import Callable

from iterdeploy.config import ConfigError, RunConfig
from iterdeploy.samplers.protocol import Answered, Asked, Failed, Sampler
from iterdeploy.types import Policy


def _transformers(policy: Policy, config: RunConfig) -> Sampler:
    from iterdeploy.samplers.transformers import TransformersSampler

    return TransformersSampler(policy, config)


def _openai(policy: Policy, config: RunConfig) -> Sampler:
    from iterdeploy.samplers.openai import OpenAiSampler

    return OpenAiSampler(policy, config)


def _vllm(policy: Policy, config: RunConfig) -> Sampler:
    from iterdeploy.samplers.vllm import VllmSampler

    return VllmSampler(policy, config)


SAMPLERS: dict[str, Callable[[Policy, RunConfig], Sampler]] = {
    "transformers": _transformers,
    "vllm": _vllm,
    "openai": _openai,
}


def check_sampler(config: RunConfig) -> None:
    """ConfigError, before anything is loaded, for a sampler that cannot work."""
    name = config.sampling.sampler
    if name not in SAMPLERS:
        raise ConfigError(f"sampling.sampler: {name!r} is not a sampler; there are {', '.join(SAMPLERS)}")
    if name == "vllm":
        from iterdeploy.samplers.vllm import check_vllm

        check_vllm(config)
    if name == "openai":
        _check_openai(config)


def _check_openai(config: RunConfig) -> None:
    from iterdeploy.samplers.endpoint import address_of

    if not address_of(config):
        raise ConfigError('server.address: sampling.sampler = "openai" needs the address of a server')
    if config.generations and (config.training.method == "full" or config.server.api == "chat"):
        raise ConfigError(
            'sampling.sampler = "openai": a running server takes new generations only as adapters and only over the '
            'completions protocol; set training.method = "lora" and server.api = "completions", let '
            'sampling.sampler = "vllm" start a server for each generation, or set generations = 0 to measure alone'
        )


__all__ = ["SAMPLERS", "Answered", "Asked", "Failed", "Sampler", "check_sampler"]
