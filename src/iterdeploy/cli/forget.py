"""`iterdeploy forget`: deletes what a deployment knows of a user, and what was trained on it if that is asked for."""

import argparse
import getpass
import sys

from iterdeploy.cli.common import quiet, run_path
from iterdeploy.record.run_dir import RunDir
from iterdeploy.record.trust import trusted_config
from iterdeploy.sections import UserError
from iterdeploy.wording import say


def forget(arguments: argparse.Namespace) -> int:
    from iterdeploy.cli.advance import advance
    from iterdeploy.governance.forget import forget as delete
    from iterdeploy.governance.forget import withdraw
    from iterdeploy.record.traffic import Traffic
    from iterdeploy.redaction import command_without_keys

    quiet()
    path, who = run_path(arguments), getpass.getuser()
    config = trusted_config(path, arguments.trust)
    run_dir = RunDir.open(path, config, command_without_keys([*sys.argv[:2], "..."]))
    try:
        if not Traffic(run_dir.store).there:
            raise UserError(f"{path}: this is a run, not a deployment: nobody asked it anything")
        found = delete(run_dir, arguments.user, who)
        serves = withdraw(run_dir, found.generations, who) if arguments.rebuild else None
    finally:
        run_dir.close()
    say(f"deleted {found.traces} traces and {found.judgements} judgements")
    if not found.generations:
        say("no generation was trained on them")
        return 0
    tainted = ", ".join(map(str, found.generations))
    if serves is None:
        say(f"trained on them: generations {tainted}; `iterdeploy forget` with --rebuild makes them anew without them")
        return 0
    say(f"generations {tainted} were trained on them and are removed; generation {serves} serves")
    return advance(arguments)
