"""`iterdeploy serve`: a live deployment."""

import argparse
import sys
from contextlib import suppress

from iterdeploy.api.find import checked_name
from iterdeploy.cli.common import quiet
from iterdeploy.config_file import find_config, load_config
from iterdeploy.redaction import command_without_keys
from iterdeploy.sections import ConfigError


def serve(arguments: argparse.Namespace) -> int:
    try:
        import starlette  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError:
        raise ConfigError("`iterdeploy serve` needs Starlette and uvicorn: pip install 'iterdeploy[serve]'") from None
    from iterdeploy.gateway.serve import serve as go

    quiet()
    path = find_config(arguments.config)
    config = load_config(path, arguments.set)
    name = checked_name(arguments.name or path.stem)
    with suppress(KeyboardInterrupt):
        go(arguments.runs_dir / name, config, arguments.host, arguments.port, command_without_keys(sys.argv))
    return 0
