"""Where a run's results come from: versions, revision, machine and command of every call."""

import os
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import iterdeploy

PACKAGES = ("torch", "transformers", "tokenizers", "peft", "numpy")


@dataclass(frozen=True, slots=True)
class Facts:
    """What a run rests on besides its configuration, as far as it is known."""

    remote_code: Mapping[str, str] | None = None
    """Name -> SHA-256 of the Python files in the model's folder that may run; None: none may."""
    tokenizer: str | None = None
    """SHA-256 of the base model's."""
    code: Mapping[str, str] = field(default_factory=dict)
    """File -> SHA-256 of the user's Python files that the configuration has run."""
    tasks: Mapping[str, str] = field(default_factory=dict)
    """What the task set says of its tasks: label -> text."""
    asks_for: Mapping[str, float] = field(default_factory=dict)
    """Feature -> how much more (positive) or less (negative) of it the curation policies want, by intention."""
    threads: int | None = None
    """With which PyTorch computes on the CPU, where they were found out."""


NOTHING_KNOWN = Facts()


@dataclass(frozen=True, slots=True)
class Call:
    """One entry of provenance.json: the start of a run, or a time that it was resumed."""

    started: str
    """When, in ISO 8601 and UTC."""
    command: Sequence[str]
    python: str
    platform: str
    cpus: int | None
    revision: str | None
    """Of the program, where it lies in a checkout of its own."""
    packages: Mapping[str, str | None]
    """Name -> version."""
    facts: Facts = NOTHING_KNOWN


def provenance(command: Sequence[str], facts: Facts) -> Call:
    """Of the process that asks."""
    return Call(
        started=datetime.now(UTC).isoformat(timespec="seconds"),
        command=command,
        python=sys.version.split()[0],
        platform=platform.platform(),
        cpus=os.cpu_count(),
        revision=_revision(),
        packages={"iterdeploy": iterdeploy.__version__} | {name: _version(name) for name in PACKAGES},
        facts=facts,
    )


def written(call: Call) -> dict[str, Any]:
    """The entry as plain data, without what is not known."""
    values = asdict(call)
    facts = {name: value for name, value in values.pop("facts").items() if value is not None}
    return {**values, **facts}


def read(values: Mapping[str, Any]) -> Call:
    """The entry that is written so, by this version or an earlier one."""
    known: dict[str, Any] = {field.name: values.get(field.name) for field in fields(Call) if field.name != "facts"}
    facts = {field.name: values[field.name] for field in fields(Facts) if values.get(field.name) is not None}
    return Call(**known, facts=Facts(**facts))


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _revision() -> str | None:
    """The git revision of the source, with "-dirty" for uncommitted changes; None where the package is not in a
    checkout of its own, such as in a virtual environment inside somebody's repository."""
    if _git("ls-files", "--full-name", "--", "__init__.py") != "src/iterdeploy/__init__.py":
        return None
    return _git("describe", "--always", "--dirty", "--abbrev=12", "--exclude=*") or None


def _git(*arguments: str) -> str:
    """What git says in the package's folder; nothing where it fails."""
    command = ["git", "-C", str(Path(iterdeploy.__file__).parent), *arguments]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        out = subprocess.run(command, capture_output=True, text=True, timeout=10, env=environment)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return out.stdout.strip()
