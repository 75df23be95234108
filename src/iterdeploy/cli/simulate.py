"""`iterdeploy simulate`: users who are not there ask a deployment and judge its answers."""

import argparse
import os

from iterdeploy.cli.common import quiet, run_path
from iterdeploy.record.trust import trusted_config
from iterdeploy.wording import say


def simulate(arguments: argparse.Namespace) -> int:
    from iterdeploy.console.progress import Display
    from iterdeploy.simulation import simulate as go
    from iterdeploy.tasks import task_set

    quiet()
    path = run_path(arguments)
    tasks = task_set(trusted_config(path, arguments.trust))
    asked = list(tasks.deployed(0))[: arguments.tasks]
    with tasks.judges() as judges, Display().bar("simulated users", "answers") as progress:
        found = go(
            arguments.url,
            path.name,
            asked,
            judges,
            users=arguments.users,
            rounds=arguments.rounds,
            profile=arguments.profile,
            key=os.environ.get("ITERDEPLOY_KEY", ""),
            progress=progress,
        )
    by = ", ".join(f"{count} by generation {generation}" for generation, count in sorted(found.generations.items()))
    say(f"{found.asked} answers ({by}): {found.published} published, {found.rejected} rejected")
    return 0
