"""Files that appear whole: written beside their place, synced and renamed."""

import json
import os
from pathlib import Path
from typing import Any


def write_text(path: Path, text: str) -> None:
    """Writes beside `path`, then renames: a reader sees the old file or the new one."""
    beside = path.with_name(f"unfinished-{path.name}")
    beside.write_text(text, encoding="utf-8")
    sync(beside)
    beside.rename(path)


def write_json(path: Path, value: dict[str, Any]) -> None:
    write_text(path, json.dumps(value, indent=1) + "\n")


def read_json(path: Path) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return value


def sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
