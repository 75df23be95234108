"""Keys and passwords never land in a run's folder, its report or a log: what looks like one is found here.

A key is what has the form of one, is the value of an environment variable whose name says so, or was read as one by
this process, whatever its variable is called.
"""

import html
import json
import os
import re
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, quote_plus

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
        r"(?<=postgres://)\S+(?=@)|(?<=postgresql://)\S+(?=@)",
        r"(?i)(?<=key=)(?!value\b)\S+|(?<=token=)\S+|(?<=secret=)\S+|(?<=password=)\S+",
    )
)
"""Of known services, of HTTP headers, in addresses, and after "key=" and the like. ("key=value" is our own advice.)"""

NAMES = re.compile(r"(?i)(?:key|token|secret|password)$")
"""How the names of variables and options end whose value is a key."""

SHORTEST = 8
"""Characters below which the value of a variable is not looked for: it would be found everywhere."""
SHORTEST_KNOWN = 4
"""Characters below which what is known to be a key is not looked for."""

LONGEST_MESSAGE = 300
"""Characters that are quoted of what another program says."""
LONGEST_READ = 100_000
"""Characters of it that are looked at for that."""

_known: set[str] = set()


def remember(key: str) -> str:
    """The key, which from now on this process hides wherever it hides keys."""
    if len(key) >= SHORTEST_KNOWN:
        _known.add(key)
    return key


@cache
def forms_of(key: str) -> tuple[str, ...]:
    """How a key may be written: as it is, escaped for JSON, Python, HTML or an address, and inside of base64."""
    escaped = {key, json.dumps(key)[1:-1], json.dumps(key, ensure_ascii=False)[1:-1], repr(key)[1:-1], html.escape(key)}
    quoted = {quote(key), quote(key, safe=""), quote_plus(key)}
    return tuple(sorted(escaped | quoted | set(_in_base64(key.encode())), key=len, reverse=True))


def _in_base64(key: bytes) -> Iterator[str]:
    """The whole, and the characters that depend on the key alone where it begins in the midst of something else: it may
    do so at any of the three bytes that four characters stand for."""
    for before in range(3):
        after = (before + len(key)) % 3
        encoded = b64encode(bytes(before) + key).decode().rstrip("=")
        inside = encoded[(0, 2, 3)[before] : len(encoded) - (after > 0)]
        for written in (encoded, inside) if before == 0 else (inside,):
            if len(written) >= SHORTEST_KNOWN:
                yield written
                yield written.translate({ord("+"): "-", ord("/"): "_"})


def holds_a_key(text: str) -> bool:
    """Whether a key that this process knows stands in the text."""
    return any(form in text for key in _known if len(key) >= SHORTEST for form in forms_of(key))


def in_a_message(text: str) -> str:
    """What another program says, fit to be quoted in an error or a log: one line, no keys, nothing unprintable."""
    signs = (sign for sign in text[:LONGEST_READ] if sign.isprintable() or sign.isspace())
    one_line = " ".join("".join(signs).split())
    shown = without_keys(one_line)
    return shown if len(shown) <= LONGEST_MESSAGE else shown[:LONGEST_MESSAGE] + " ..."


def without_keys(text: str, environment: Mapping[str, str] = os.environ) -> str:
    """The text with everything that looks like a key hidden.

    >>> without_keys("--set server.address=https://me:pass@host/v1 -H api_key=abc", {})
    '--set server.address=https://[hidden]@host/v1 -H api_key=[hidden]'
    """
    for key in sorted(_known, key=len, reverse=True):
        for written in forms_of(key):
            text = text.replace(written, HIDDEN)
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
    from iterdeploy.sections import ConfigError

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
