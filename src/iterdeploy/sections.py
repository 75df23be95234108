"""What every section of a configuration is made of: its base, its errors, and how sizes are written."""

import json
import re
from typing import Any, Self

from pydantic import BaseModel, ConfigDict


class UserError(ValueError):
    """Something that the user got wrong; the message says how to fix it."""


class ConfigError(UserError):
    """The configuration cannot be used."""


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    def differences(self, other: Self) -> list[str]:
        """Of every key in which the two differ: "key: this value, other value"."""
        ours, theirs = flat(self.model_dump(mode="json")), flat(other.model_dump(mode="json"))
        return [
            f"{key}: {json.dumps(ours.get(key))}, now {json.dumps(theirs.get(key))}"
            for key in sorted(ours | theirs)
            if ours.get(key) != theirs.get(key)
        ]


LARGEST_SIZE = 10_000
RAMPS = ("base", "easy", "medium", "hard")
"""Size ranges that every planning domain has; the last three are those of the IPC 2023 learning track."""


def parse_sizes(text: str) -> tuple[int, ...]:
    """
    >>> parse_sizes("2-4,7")
    (2, 3, 4, 7)
    """
    sizes: list[int] = []
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d{1,9})\s*(?:-\s*(\d{1,9})\s*)?", part)
        if match is None:
            raise ValueError(f'sizes must read like "2-8" or "3,5,7", not {text!r}')
        low, high = int(match[1]), int(match[2] or match[1])
        if high < low:
            raise ValueError(f"the size range {part.strip()!r} ends before it begins")
        if high > LARGEST_SIZE:
            raise ValueError(f"the largest size that can be asked for is {LARGEST_SIZE}, not {high}")
        sizes += range(low, high + 1)
    return tuple(sizes)


def default(section: type[Section], key: str) -> Any:
    return section.model_fields[key].get_default(call_default_factory=True)


def flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    out: dict[str, Any] = {}
    for key, value in values.items():
        out |= flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
    return out
