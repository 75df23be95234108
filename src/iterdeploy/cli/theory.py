"""`iterdeploy theory`: how much of a run's fine-tuning is REINFORCE, measured on the run itself."""

import argparse

from iterdeploy.cli.common import console, quiet, run_path, saving, show
from iterdeploy.record.run_dir import RunDir
from iterdeploy.record.trust import trusted_config
from iterdeploy.theory.analysis import analyse, read_theory, write_theory
from iterdeploy.theory.answers import choose, trained_generations
from iterdeploy.theory.records import THEORY, Entry, Theory, Twin
from iterdeploy.theory.tables import tables
from iterdeploy.theory.twin import twin
from iterdeploy.wording import say


def theory(arguments: argparse.Namespace) -> int:
    quiet()
    path = run_path(arguments)
    trusted_config(path, arguments.trust)  # the model's own code would run
    run_dir = RunDir.read(path)
    try:
        found = _twins(run_dir, arguments) if arguments.twin else _entry(run_dir, arguments)
    finally:
        run_dir.close()
    if arguments.json:
        say(THEORY.text(found), end="")
        return 0
    out = console()
    for table in tables(found):
        show(table, out)
    return 0


def _entry(run_dir: RunDir, arguments: argparse.Namespace) -> Theory:
    entry = analyse(run_dir, arguments.generation, arguments.traces, _say)
    _save(run_dir, entry)
    return Theory({entry.generation: entry}, {})


def _twins(run_dir: RunDir, arguments: argparse.Namespace) -> Theory:
    """The twins asked for; only those that theory.json does not have yet are trained."""
    wanted = trained_generations(run_dir) if arguments.generation is None else [arguments.generation]
    known = read_theory(run_dir)
    twins = dict(known.twins) if known else {}
    for generation in wanted:
        if generation not in twins:
            twins[generation] = twin(choose(run_dir, generation, arguments.traces, _say))
            _save(run_dir, twins[generation])
    return Theory({}, {generation: twins[generation] for generation in wanted})


def _save(run_dir: RunDir, found: Entry | Twin) -> None:
    with saving(run_dir.path / "theory.json"):
        write_theory(run_dir, found)


def _say(line: str) -> None:
    say(line, error=True, flush=True)
