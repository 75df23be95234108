"""`iterdeploy promote`, `rollback` and `canary`: which generation of a deployment serves."""

import argparse
import getpass

from iterdeploy.cli.common import run_path
from iterdeploy.governance.serving import Decisions
from iterdeploy.wording import say


def promote(arguments: argparse.Namespace) -> int:
    with _decisions(arguments) as deployment:
        deployment.promote(arguments.generation, "by hand")
    say(f"{arguments.run}: generation {arguments.generation} serves")
    return 0


def rollback(arguments: argparse.Namespace) -> int:
    with _decisions(arguments) as deployment:
        generation = deployment.rollback(arguments.to)
    say(f"{arguments.run}: generation {generation} serves")
    return 0


def canary(arguments: argparse.Namespace) -> int:
    with _decisions(arguments) as deployment:
        deployment.canary(arguments.generation, arguments.share)
    share = f"answers {arguments.share:.1%} of the requests" if arguments.share else "is not tried any more"
    say(f"{arguments.run}: generation {arguments.generation} {share}")
    return 0


def _decisions(arguments: argparse.Namespace) -> Decisions:
    return Decisions(run_path(arguments), getpass.getuser())
