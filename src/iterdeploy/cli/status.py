"""`iterdeploy status`: a run's state and its generations."""

import argparse
import json

from iterdeploy.cli.common import console, run_path, show
from iterdeploy.console.lines import HEAD, lines
from iterdeploy.console.summary import as_json, summary, table
from iterdeploy.metrics.tables import by_temperature
from iterdeploy.record.run_dir import RunDir, RunDirError
from iterdeploy.report.facts.verdict import outcome
from iterdeploy.wording import say, tell


def status(arguments: argparse.Namespace) -> int:
    run_dir = RunDir.read(run_path(arguments))
    against = _measured_generation(arguments.against, run_dir)
    found = summary(run_dir, against)
    rows = list(lines(run_dir))
    results = list(run_dir.store.results(len(found.generations)))
    temperature = run_dir.config.sampling.temperature
    run_dir.close()
    if arguments.json:
        say(json.dumps(as_json(found), indent=1))
        return 0
    state = found.state
    process = f" (process {state.process})" if state.process else ""
    say(f"{found.name}: {state.name}{process}" + (f": {state.reason}" if state.reason else ""))
    if arguments.wide and rows:
        show(table(found.generations), console())
        show(by_temperature(found.standings, against), console())
    elif rows:
        say("\n".join([HEAD, *rows]))
    if rows:
        tell(outcome(results, temperature, against).sentence)
    return 0


def _measured_generation(generation: int, run_dir: RunDir) -> int:
    """RunDirError for a generation that has not been measured."""
    count = len(run_dir.metrics())
    if generation and not 0 <= generation < count:
        there = f"generations 0 to {count - 1} are" if count > 1 else "only generation 0 is" if count else "none is"
        raise RunDirError(f"--against {generation}: {run_dir.path} has no such generation; {there} measured")
    return generation
