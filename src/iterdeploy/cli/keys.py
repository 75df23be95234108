"""`iterdeploy keys`: who may ask a deployment, judge its answers, and decide about it."""

import argparse
import getpass

from iterdeploy.cli.common import run_path
from iterdeploy.governance.keys import add_key, revoke_key
from iterdeploy.governance.serving import Decisions
from iterdeploy.wording import say


def add(arguments: argparse.Namespace) -> int:
    train = None if arguments.train is None else arguments.train == "yes"
    with Decisions(run_path(arguments), getpass.getuser()) as deployment:
        made = add_key(
            deployment, arguments.key, arguments.scopes.split(","), arguments.user, train, arguments.retention
        )
    say(made)
    say("this key is shown once and kept nowhere", error=True)
    return 0


def revoke(arguments: argparse.Namespace) -> int:
    with Decisions(run_path(arguments), getpass.getuser()) as deployment:
        revoke_key(deployment, arguments.key)
    say(f"the key {arguments.key} is no longer valid")
    return 0


def show(arguments: argparse.Namespace) -> int:
    with Decisions(run_path(arguments), getpass.getuser()) as deployment:
        keys = list(deployment.standing.keys.values())
    for key in keys:
        terms = {None: "as configured", True: "yes", False: "no"}[key.train]
        user = f"  user {key.user}" if key.user else ""
        say(f"{key.name}  {','.join(key.scopes)}  train: {terms}{user}")
    return 0
