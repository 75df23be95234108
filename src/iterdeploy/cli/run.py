"""`iterdeploy run`: makes or continues a run, or one for each of several seeds."""

import argparse
import shlex
import sys
from pathlib import Path

from iterdeploy.cli.common import checked_name, quiet
from iterdeploy.config import ConfigError, RunConfig
from iterdeploy.config_file import find_config, load_config
from iterdeploy.record.run_dir import RunDir
from iterdeploy.wording import say

EXIT_STOPPED = 3


def run(arguments: argparse.Namespace) -> int:
    path = find_config(arguments.config)
    config = load_config(path, arguments.set)
    if arguments.dry_run:
        from iterdeploy.estimate.dry_run import dry_run

        return dry_run(config, arguments)
    name = checked_name(arguments.name or path.stem)
    if arguments.seeds is None:
        return go_on(config, arguments.runs_dir / name)
    return _run_seeds(config, arguments.runs_dir, name, arguments.seeds)


def _run_seeds(config: RunConfig, runs_dir: Path, name: str, count: int) -> int:
    """One run for each of `count` seeds, the configuration's first; called again, it goes on where it stopped."""
    seeds = range(config.seed, config.seed + count)
    ends = [go_on(config.model_copy(update={"seed": seed}), runs_dir / f"{name}-{seed}") for seed in seeds]
    names = [f"{name}-{seed}" for seed in seeds]
    say(f"compare them with: {shlex.join(['iterdeploy', 'compare', *names, '--runs-dir', str(runs_dir)])}")
    return max(ends)


def go_on(config: RunConfig, path: Path) -> int:
    from iterdeploy.console.progress import Display
    from iterdeploy.loop import run_loop
    from iterdeploy.models.loading import code_files, tokenizer_digest
    from iterdeploy.redaction import command_without_keys
    from iterdeploy.report import write_report
    from iterdeploy.report.facts.verdict import outcome
    from iterdeploy.steps.components import assemble
    from iterdeploy.steps.run import Run
    from iterdeploy.steps.stops import Stopped

    quiet()
    if config.deployment is not None:
        raise ConfigError(
            f"{path.name}: a configuration with a section [deployment] is served (`iterdeploy serve`), and goes on "
            "with `iterdeploy advance`"
        )
    components = assemble(config)
    folder = Path(components.base.base_model)
    code = code_files(folder) if config.model.trust_remote_code else None
    if code is not None:
        names = ", ".join(code) or "there is none"
        say(f"iterdeploy: warning: Python code of {config.model.name} may run: {names}", error=True)
    run_dir = RunDir.open(path, config, command_without_keys(sys.argv), code, tokenizer_digest(folder))
    stopped: Stopped | None = None
    try:
        try:
            run_loop(Run(run_dir, components, Display()))
        except Stopped as stop:
            stopped = stop
            run_dir.stop(stop.state, str(stop), {"counts": stop.counts})
        if run_dir.metrics():
            say(write_report(run_dir))
            results = list(run_dir.store.results(len(run_dir.metrics())))
            say(outcome(results, config.sampling.temperature).sentence)
        run_dir.store.add_seconds(components.clock.take())
    finally:
        run_dir.close()
    if stopped is None:
        return 0
    say(f"iterdeploy: stopped ({stopped.state}): {stopped}", error=True)
    return EXIT_STOPPED
