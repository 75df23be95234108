"""`iterdeploy completion`: what a shell must run to complete commands; and what it then offers for names and keys."""

import argparse
from pathlib import Path

import argcomplete
from argcomplete.shell_integration import shellcode

from iterdeploy.api.find import find_runs
from iterdeploy.config import RunConfig
from iterdeploy.config_errors import keys
from iterdeploy.config_file import config_names
from iterdeploy.wording import say


def completion(arguments: argparse.Namespace) -> int:
    say(shellcode(["iterdeploy"], shell=arguments.shell))
    return 0


def complete(parser: argparse.ArgumentParser) -> None:
    """Answers the shell that asks, and ends the process."""
    _offer(parser)
    argcomplete.autocomplete(parser, always_complete_options="long")


def _offer(parser: argparse.ArgumentParser) -> None:
    """Names and keys, for the arguments of this command and of those below it."""
    for action in parser._actions:
        if isinstance(action.choices, dict):
            for below in action.choices.values():
                _offer(below)
        elif action.dest in OFFERED:
            action.completer = OFFERED[action.dest]  # type: ignore[attr-defined]


def _runs(parsed_args: argparse.Namespace, **_: object) -> list[str]:
    return [path.name for path in find_runs(getattr(parsed_args, "runs_dir", Path("runs")))]


def _configurations(**_: object) -> list[str]:
    return [*config_names(), *map(str, Path().glob("*.toml"))]


def _overrides(**_: object) -> list[str]:
    return [f"{key}=" for key in keys(RunConfig)]


OFFERED = {"run": _runs, "runs": _runs, "config": _configurations, "set": _overrides}
"""Argument -> what may stand there."""
