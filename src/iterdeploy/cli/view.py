"""`iterdeploy view`: serves a run's report, while it goes on and whatever its size."""

import argparse
import threading

from iterdeploy.cli.common import run_path
from iterdeploy.record.run_dir import RunDir
from iterdeploy.sections import UserError
from iterdeploy.view.server import Server, with_port
from iterdeploy.view.shelves import View
from iterdeploy.wording import say


def view(arguments: argparse.Namespace) -> int:
    path = run_path(arguments)
    RunDir.read(path, whole=False).close()
    try:
        server = Server(arguments.host, arguments.port, View(path))
    except OSError as error:
        place = with_port(arguments.host, arguments.port)
        raise UserError(f"--host, --port: {place} cannot be served: {error.strerror}; choose another --port") from None
    threading.Thread(target=server.view.keep_painting, daemon=True).start()
    if server.names is None:
        say("Everyone who can reach this machine can read this run.", error=True)
    say(f"http://{with_port(arguments.host, server.port)}/  (Ctrl-C ends)", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        say(error=True)
    finally:
        server.server_close()
    return 0
