"""Which folder the name or the path of a run means."""

import os
from pathlib import Path

from iterdeploy.record.files import RunDirError
from iterdeploy.sections import ConfigError
from iterdeploy.wording import did_you_mean, short

LONGEST_NAME = 200
"""Of a run. File systems allow 255 bytes."""


def find_run(name: str | Path, runs_dir: Path) -> Path:
    """The folder of the run of that name in `runs_dir`, or of that path. RunDirError if there is none."""
    for path in (runs_dir / name, Path(name)):
        if (path / "config.toml").is_file():
            return path if path.name not in ("", "..") else Path(os.path.abspath(path))
    there = [path.name for path in find_runs(runs_dir)]
    near = did_you_mean(str(name), there)
    known = f"; the runs in {runs_dir} are {', '.join(there)}" if there else f"; there are no runs in {runs_dir}"
    raise RunDirError(f"{name}: no such run{near or known} (--runs-dir says where runs are kept)")


def find_runs(runs_dir: Path) -> list[Path]:
    """The folders of all runs in `runs_dir`, by name."""
    return sorted(entry.parent for entry in runs_dir.glob("*/config.toml"))


def checked_name(name: str) -> str:
    """ConfigError if a run cannot have that name, because a folder cannot."""
    if name in ("", ".", "..") or {"/", "\\"} & set(name) or not name.isprintable() or len(name) > LONGEST_NAME:
        raise ConfigError(f"--name: {short(name)!r} cannot be a folder's name; give the run another one")
    return name
