"""Where a server is and what it is asked under. Keys come from the environment and stay in memory."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field

from iterdeploy.config import RunConfig


@dataclass(frozen=True, slots=True)
class Endpoint:
    address: str
    key: str = field(repr=False)
    """Empty: the server asks for none."""
    model: str
    """What the server calls the base model; empty: the first model that it lists."""
    check: Callable[[], None] = lambda: None
    """Raises if the server is gone for good."""


def configured(config: RunConfig) -> Endpoint:
    server = config.server
    names = [server.key_variable] if server.key_variable else ["ITERDEPLOY_API_KEY", "OPENAI_API_KEY"]
    key = next((value for name in names if (value := os.environ.get(name))), "")
    return Endpoint(address_of(config), key, server.model)


def address_of(config: RunConfig) -> str:
    return config.server.address or os.environ.get("ITERDEPLOY_ADDRESS", "").rstrip("/")
