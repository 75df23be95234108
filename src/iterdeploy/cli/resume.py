"""`iterdeploy resume`: goes on with a run, with the configuration it was started with."""

import argparse

from iterdeploy.cli.common import run_path
from iterdeploy.cli.run import go_on
from iterdeploy.config_file import load_config


def resume(arguments: argparse.Namespace) -> int:
    path = run_path(arguments)
    return go_on(load_config(path / "config.toml"), path)
