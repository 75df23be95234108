"""Where a run's results come from: versions, revision, machine and command of every call."""

import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = ("iterdeploy", "torch", "transformers", "tokenizers", "peft", "numpy")


def provenance(command: list[str], facts: Mapping[str, object]) -> dict[str, Any]:
    """`facts`: what else is recorded, where it is not None."""
    return {
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": command,
        "python": sys.version.split()[0],
        "platform": platform.platform(),
        "cpus": os.cpu_count(),
        "revision": _revision(),
        "packages": {name: _version(name) for name in PACKAGES},
        **{name: value for name, value in facts.items() if value is not None},
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _revision() -> str | None:
    """The git revision of the source, with "-dirty" for uncommitted changes; None outside a checkout."""
    here = Path(__file__).parent
    try:
        out = subprocess.run(
            ["git", "-C", str(here), "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"],
            capture_output=True,
            text=True,
            timeout=10,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return out.stdout.strip() or None
