"""Where a server is and what it is asked under. Keys come from the environment and stay in memory."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from pydantic import ValidationError

from iterdeploy.config import RunConfig
from iterdeploy.config_sampling import ServerConfig
from iterdeploy.redaction import remember
from iterdeploy.sections import ConfigError


@dataclass(frozen=True, slots=True)
class Endpoint:
    address: str
    key: str = field(repr=False)
    """Empty: the server asks for none."""
    model: str
    """What the server calls the base model; empty: the first model that it lists."""
    check: Callable[[], None] = lambda: None
    """Raises if the server is gone for good."""


def configured(config: RunConfig) -> list[Endpoint]:
    """One for each server. ConfigError if the key cannot be sent."""
    server = config.server
    names = [server.key_variable] if server.key_variable else ["ITERDEPLOY_API_KEY", "OPENAI_API_KEY"]
    name, key = next(((name, key) for name in names if (key := os.environ.get(name, "").strip())), ("", ""))
    if not (key.isascii() and key.isprintable()):
        raise ConfigError(f"{name}: the key in this variable holds characters that cannot be sent; set it anew")
    return [Endpoint(address, remember(key), server.model) for address in addresses_of(config)]


def only_one(config: RunConfig) -> Endpoint:
    """ConfigError for several servers."""
    endpoints = configured(config)
    if len(endpoints) != 1:
        raise ConfigError(
            f"server.addresses: a live deployment asks one server, not {len(endpoints)}: name it in server.address; "
            "several can stand behind a load balancer"
        )
    return endpoints[0]


def addresses_of(config: RunConfig) -> Sequence[str]:
    """The addresses that the configuration or the environment names; empty where neither has one."""
    if config.server.everywhere:
        return config.server.everywhere
    said = os.environ.get("ITERDEPLOY_ADDRESS", "")
    try:
        return ServerConfig(addresses=tuple(said.split(",")) if said else ()).everywhere
    except ValidationError as error:
        raise ConfigError(f"ITERDEPLOY_ADDRESS: {error.errors()[0]['msg'].removeprefix('Value error, ')}") from None


def check_served(config: RunConfig) -> None:
    """ConfigError for a configuration that a running server cannot serve."""
    if not addresses_of(config):
        raise ConfigError('server.address: sampling.sampler = "openai" needs the address of a server')
    if config.generations and (config.training.method == "full" or config.server.api == "chat"):
        raise ConfigError(
            'sampling.sampler = "openai": a running server takes new generations only as adapters and only over the '
            'completions protocol; set training.method = "lora" and server.api = "completions", let '
            'sampling.sampler = "vllm" start a server for each generation, or set generations = 0 to measure alone'
        )
