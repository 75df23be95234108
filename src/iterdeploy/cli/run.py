"""`iterdeploy run`: makes or continues a run, or one for each of several seeds."""

import argparse
import shlex
import sys
from pathlib import Path

from iterdeploy.api.find import checked_name
from iterdeploy.cli.common import quiet
from iterdeploy.config import RunConfig
from iterdeploy.config_file import find_config, load_config
from iterdeploy.wording import say, tell

EXIT_STOPPED = 3


def run(arguments: argparse.Namespace) -> int:
    path = find_config(arguments.config)
    config = load_config(path, arguments.set)
    if arguments.dry_run:
        from iterdeploy.estimate.dry_run import dry_run

        return dry_run(config, arguments)
    name = checked_name(arguments.name or path.stem)
    accept: bool = arguments.accept_code_change
    if arguments.seeds is None:
        return go_on(config, arguments.runs_dir / name, accept)
    return _run_seeds(config, arguments.runs_dir, name, arguments.seeds, accept)


def _run_seeds(config: RunConfig, runs_dir: Path, name: str, count: int, accept: bool) -> int:
    """One run for each of `count` seeds, the configuration's first; called again, it goes on where it stopped."""
    seeds = range(config.seed, config.seed + count)
    ends = [go_on(config.model_copy(update={"seed": seed}), runs_dir / f"{name}-{seed}", accept) for seed in seeds]
    names = [f"{name}-{seed}" for seed in seeds]
    say(f"compare them with: {shlex.join(['iterdeploy', 'compare', *names, '--runs-dir', str(runs_dir)])}")
    return max(ends)


def go_on(config: RunConfig, path: Path, accept_code_change: bool = False) -> int:
    """Makes or continues a run, and says how it ended. `accept_code_change`: even if the user's Python files are not
    what they were."""
    if sys.stderr.isatty():  # at once: the imports below take seconds
        tell(f"{path}: {config.generations} generations of {config.model.name}", error=True)
    from iterdeploy.api.start import go_on as started
    from iterdeploy.console.progress import Display

    quiet()
    run = started(config, path, Display(), accept_code_change)
    if run.measured:
        say(run.report())
        tell(run.verdict)
    run.close()
    if not run.state.reason:
        return 0
    say(f"iterdeploy: stopped ({run.state.name}): {run.state.reason}", error=True)
    return EXIT_STOPPED
