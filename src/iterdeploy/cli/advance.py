"""`iterdeploy advance`: makes a deployment's next generation, and lets it serve if the gate does."""

import argparse
import getpass
import sys

from iterdeploy.cli.common import quiet, run_path
from iterdeploy.cli.run import EXIT_STOPPED
from iterdeploy.record.run_dir import RunDir
from iterdeploy.record.trust import trusted_config
from iterdeploy.wording import say, tell


def advance(arguments: argparse.Namespace) -> int:
    from iterdeploy.console.progress import Display
    from iterdeploy.gateway.deployed import check
    from iterdeploy.governance.advance import advance as turn
    from iterdeploy.governance.words import gate_in_words
    from iterdeploy.redaction import command_without_keys
    from iterdeploy.steps.components import assemble
    from iterdeploy.steps.run import Run
    from iterdeploy.steps.stops import Stopped

    quiet()
    path = run_path(arguments)
    config = trusted_config(path, arguments.trust)
    check(config)
    components = assemble(config)
    command, accept = command_without_keys(sys.argv), arguments.accept_code_change
    run_dir = RunDir.open(path, config, command, components.facts(), accept_code_change=accept)
    try:
        found = turn(Run(run_dir, components, Display()), getpass.getuser())
    except Stopped as stop:
        say(f"iterdeploy: stopped ({stop.state}): {stop}", error=True)
        return EXIT_STOPPED
    finally:
        run_dir.close()
    tell(gate_in_words(path.name, found))
    return 0 if found.passed else EXIT_STOPPED
