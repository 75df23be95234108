"""Where a run's results come from: versions, revision, machine and command of every call."""

import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
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


def provenance(command: list[str], facts: Facts) -> dict[str, Any]:
    """One entry of provenance.json."""
    return {
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": command,
        "python": sys.version.split()[0],
        "platform": platform.platform(),
        "cpus": os.cpu_count(),
        "revision": _revision(),
        "packages": {"iterdeploy": iterdeploy.__version__} | {name: _version(name) for name in PACKAGES},
        **{name: value for name, value in asdict(facts).items() if value is not None},
    }


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
