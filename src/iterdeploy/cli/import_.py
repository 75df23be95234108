"""`iterdeploy import`: chats from elsewhere become traces of a deployment."""

import argparse
import sys

from iterdeploy.api.find import checked_name
from iterdeploy.cli.common import quiet
from iterdeploy.config_file import find_config, load_config
from iterdeploy.record.trust import trusted_config
from iterdeploy.wording import say


def import_(arguments: argparse.Namespace) -> int:
    from iterdeploy.gateway.serve import open_folder
    from iterdeploy.governance.imported import import_file
    from iterdeploy.record.store import TraceStore
    from iterdeploy.record.traffic import Traffic
    from iterdeploy.redaction import command_without_keys

    quiet()
    path = arguments.runs_dir / checked_name(arguments.run)
    there = (path / "config.toml").is_file()
    config = trusted_config(path, arguments.trust) if there else load_config(find_config(arguments.config))
    components = open_folder(path, config, command_without_keys(sys.argv))
    store = TraceStore(path / "traces.sqlite")
    try:
        traffic = Traffic(store)
        traffic.prepare()
        found = import_file(arguments.file, traffic, components.base, config, components.tasks)
    finally:
        store.close()
    say(f"{found.traces} chats are stored, {found.judged} of them judged; {found.known} were there already")
    return 0
