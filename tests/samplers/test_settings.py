"""Settings of servers that cannot work."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from helpers.support import assert_refused, write_config


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ({"sampling.sampler": "openai"}, ["server.address"]),
        ({"sampling.sampler": "openai", "server.address": "localhost:8000"}, ["server.address", "http://"]),
        ({"sampling.sampler": "openai", "server.address": "http://a:b@host/v1"}, ["server.address", "password"]),
        ({"sampling.sampler": "openai", "server.address": "http://127.0.0.1:9/v1"}, ["training.method", "lora"]),
        ({"sampling.sampler": "openai", "server.address": "http://127.0.0.1:9/v1", "training.method": "lora",
          "server.api": "chat"}, ["server.api", "generations = 0"]),
        ({"sampling.sampler": "vllm", "server.python": sys.executable}, ["vllm", "server.python"]),
        ({"sampling.sampler": "vllm", "server.python": "/no/python"}, ["server.python", "/no/python"]),
    ],
)  # fmt: skip
def test_settings_that_cannot_work_are_refused_before_anything_is_loaded(
    run_cli: Callable[..., Any], tmp_path: Path, overrides: dict[str, Any], words: list[str]
) -> None:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("ITERDEPLOY")}
    config = write_config(tmp_path, overrides)
    assert_refused(run_cli("run", config, "--dry-run", check_exit=2, env=environment), *words)
