"""`iterdeploy measure`: asks a run's generations its held-out tasks at another temperature, or more often."""

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from iterdeploy.cli.common import console, quiet, run_path, show
from iterdeploy.cli.run import EXIT_STOPPED
from iterdeploy.config import RunConfig
from iterdeploy.console.summary import as_json, summary
from iterdeploy.metrics.tables import by_temperature
from iterdeploy.record.run_dir import RunDir
from iterdeploy.record.trust import trusted_config
from iterdeploy.sections import UserError
from iterdeploy.types import Policy, Split
from iterdeploy.wording import say

if TYPE_CHECKING:
    from iterdeploy.steps.run import Run


class MeasureError(UserError):
    """The run has nothing that can be measured in this way."""


def measure(arguments: argparse.Namespace) -> int:
    quiet()
    path = run_path(arguments)
    config = trusted_config(path, arguments.trust)
    _check(arguments)
    run_dir = RunDir.add_to(path)
    try:
        stopped = _measure(config, run_dir, arguments)
        found = summary(run_dir)
        if arguments.json:
            say(json.dumps(as_json(found), indent=1))
        else:
            show(by_temperature(found.standings), console())
    finally:
        run_dir.close()
    if stopped:
        say(f"iterdeploy: stopped: {stopped}", error=True)
    return EXIT_STOPPED if stopped else 0


def _check(arguments: argparse.Namespace) -> None:
    if arguments.temperature == 0 and arguments.samples > 1:
        raise MeasureError(
            f"--samples {arguments.samples}: at temperature 0 every answer to a task is the same; leave --samples out, "
            "or take another --temperature"
        )


def _measure(config: RunConfig, run_dir: RunDir, arguments: argparse.Namespace) -> str:
    """Why it stopped by itself; empty if it did not."""
    from iterdeploy.console.progress import Display
    from iterdeploy.deployment.measurements import measure_at
    from iterdeploy.models.threads import settle
    from iterdeploy.steps.components import assemble
    from iterdeploy.steps.run import Run
    from iterdeploy.steps.stops import Stopped

    wanted = _generations(run_dir, arguments.generation)
    run = Run(run_dir, assemble(config), Display())
    settle(config.model, Path(run.components.base.base_model), run_dir.noted("threads"))
    try:
        for generation in wanted:
            run.clock.generation = generation
            measure_at(_policy(generation, run), arguments.temperature, arguments.samples, run)
            run_dir.store.add_seconds(run.clock.take())
    except Stopped as stop:
        return str(stop)
    return ""


def _policy(generation: int, run: "Run") -> Policy:
    """Undamaged; the base model is found where it is now, not where it was during the run."""
    if generation:
        run.folder.whole_policy(generation)
    return replace(run.policy(generation), base_model=run.components.base.base_model)


def _generations(run_dir: RunDir, generation: int | None) -> list[int]:
    """MeasureError for a generation that has not been measured, and for a run without held-out tasks."""
    count = len(run_dir.metrics())
    if not count:
        raise MeasureError(f"{run_dir.path}: no generation has been measured yet; run `iterdeploy resume` first")
    if not any(task.split is Split.HELD_OUT for task in run_dir.store.tasks()):
        raise MeasureError(f"{run_dir.path}: this run has no held-out tasks; set tasks.held_out in a new one")
    if generation is None:
        return list(range(count))
    if generation >= count:
        raise MeasureError(f"--generation {generation}: {run_dir.path} has the generations 0 to {count - 1} only")
    return [generation]
