"""`iterdeploy list`: the runs that are there, and the packaged configurations."""

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from iterdeploy.api.find import find_runs
from iterdeploy.api.look import Run
from iterdeploy.config_file import config_names, find_config, read_toml
from iterdeploy.sections import UserError
from iterdeploy.tables import NOTHING
from iterdeploy.wording import plain, say


def list(arguments: argparse.Namespace) -> int:
    runs = {path.name: _run(path) for path in find_runs(arguments.runs_dir)}
    configurations = dict(_configurations())
    if arguments.json:
        say(json.dumps({"runs": runs, "configurations": configurations}, indent=1))
        return 0
    say(f"Runs in {arguments.runs_dir}:")
    _print([(name, *cells) for name, cells in runs.items()] or [("none yet: `iterdeploy run quickstart` makes one",)])
    say("\nPackaged configurations:")
    _print([*configurations.items()])
    return 0


def _print(rows: Sequence[tuple[str, ...]]) -> None:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (f"{cell:<{width}}" for cell, width in zip(map(plain, row), widths, strict=True))
        say(f"  {'  '.join(cells)}".rstrip())


def _run(path: Path) -> tuple[str, str, str]:
    """State, generations measured, and held-out coverage of the first and the last of them."""
    try:
        with Run(path) as run:
            points = [found.held_out for found in run.generations]
            ends = [f"{point.value:.1%}" for point in (points[0], points[-1]) if point] if points else []
            measured = f"{run.measured} of {run.config.generations + 1}"
            return run.state.name, measured, " to ".join(dict.fromkeys(ends)) or NOTHING
    except UserError as error:
        return f"cannot be read: {error}", NOTHING, NOTHING


def _configurations() -> Iterator[tuple[str, str]]:
    for name in config_names():
        values = read_toml(find_config(name))
        yield name, str(values.get("description") or f"For `iterdeploy pretrain`: makes {values.get('name')}")
