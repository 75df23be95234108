"""Keys and passwords never land in a run's folder, its report or a log: what looks like one is found here.

A key is what has the form of one, or is the value of an environment variable whose name says so.
"""

import os
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from iterdeploy.config import RunConfig

HIDDEN = "[hidden]"

FORMS = tuple(
    re.compile(form)
    for form in (
        r"\b(?:sk|pk|rk)-[\w-]{12,}",
        r"\b(?:hf|gh[pousr]|glpat|xox[abp])[_-][\w-]{16,}",
        r"\bAKIA[0-9A-Z]{16}\b",
        r"(?i)(?<=\bbearer )\S+",
        r"(?<=://)[^/\s@]+(?=@)",
        r"(?i)(?<=key=)(?!value\b)\S+|(?<=token=)\S+|(?<=secret=)\S+|(?<=password=)\S+",
    )
)
"""Of known services, of HTTP headers, in addresses, and after "key=" and the like. ("key=value" is our own advice.)"""

NAMES = re.compile(r"(?i)(?:key|token|secret|password)$")
"""How the names of variables and options end whose value is a key."""

SHORTEST = 8
"""Characters below which the value of a variable is not looked for: it would be found everywhere."""


def without_keys(text: str, environment: Mapping[str, str] = os.environ) -> str:
    """The text with everything that looks like a key hidden.

    >>> without_keys("--set server.address=https://me:pass@host/v1 -H api_key=abc", {})
    '--set server.address=https://[hidden]@host/v1 -H api_key=[hidden]'
    """
    for name, value in environment.items():
        if NAMES.search(name) and len(value) >= SHORTEST:
            text = text.replace(value, HIDDEN)
    for form in FORMS:
        text = form.sub(HIDDEN, text)
    return text


def command_without_keys(command: Sequence[str], environment: Mapping[str, str] = os.environ) -> list[str]:
    """The same of a command line, where a key may also be the word after an option.

    >>> command_without_keys(["run", "--api-key", "abc", "--name", "x"], {})
    ['run', '--api-key', '[hidden]', '--name', 'x']
    """
    before = ["", *command]
    return [
        HIDDEN if option.startswith("-") and NAMES.search(option) else without_keys(word, environment)
        for option, word in zip(before, command, strict=False)
    ]


def refuse_keys(config: "RunConfig", environment: Mapping[str, str] = os.environ) -> None:
    """ConfigError if the configuration, which is saved with the run, holds a key."""
    from iterdeploy.config import ConfigError

    for name, value in _words(config.model_dump(mode="json"), ""):
        if command_without_keys(value, environment) != value:
            raise ConfigError(
                f"{name}: this looks like a key or a password, and would be saved with the run; put it into an "
                "environment variable instead (for a server, server.key_variable names it)"
            )


def _words(values: Mapping[str, Any], prefix: str) -> list[tuple[str, list[str]]]:
    """(dotted key, its text or texts) of every key that has any."""
    found: list[tuple[str, list[str]]] = []
    for name, value in values.items():
        if isinstance(value, Mapping):
            found += _words(value, f"{prefix}{name}.")
        elif isinstance(value, str | list | tuple):
            found.append((prefix + name, [value] if isinstance(value, str) else list(map(str, value))))
    return found
