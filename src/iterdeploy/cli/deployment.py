"""The grammar of the commands of a live deployment."""

import argparse
from collections.abc import Callable
from pathlib import Path

from iterdeploy.cli.arguments import (
    GENERATION,
    add_accept,
    add_json,
    add_run,
    add_runs_dir,
    add_terms,
    add_trust,
    later,
    share,
    whole,
)

Command = Callable[..., argparse.ArgumentParser]
"""From name, summary, and the module where it is another one, to the parser of a command."""


def add_deployment(command: Command) -> None:
    serve = command(
        "serve", "serve a deployment: people and programs ask, judge, and so decide what the next model learns"
    )
    serve.add_argument("config", metavar="CONFIG", help="a TOML file, or the name of a packaged configuration")
    serve.add_argument("--name", help="the deployment's name, and its model's (default: the configuration's)")
    serve.add_argument(
        "--host", default="127.0.0.1", metavar="H", help="where to serve (default: to this machine only)"
    )
    serve.add_argument("--port", type=whole(0, 65_535), default=8765, metavar="P", help="(default: 8765; 0: any)")
    serve.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="override one key, such as training.epochs=3"
    )
    add_runs_dir(serve)

    advance = command("advance", "make a deployment's next generation, which serves if the gate lets it through")
    add_run(advance)
    add_trust(advance)
    add_accept(advance)
    add_runs_dir(advance)

    promote = command("promote", "let a generation of a deployment serve, whatever the gate says", "decide")
    add_run(promote)
    promote.add_argument("generation", type=GENERATION, metavar="G")
    add_runs_dir(promote)

    rollback = command("rollback", "let an earlier generation of a deployment serve again, at once", "decide")
    add_run(rollback)
    rollback.add_argument("--to", type=GENERATION, metavar="G", help="(default: the one that served before)")
    add_runs_dir(rollback)

    canary = command("canary", "let a generation of a deployment answer a share of the requests", "decide")
    add_run(canary)
    canary.add_argument("generation", type=GENERATION, metavar="G")
    canary.add_argument("share", type=share, metavar="SHARE", help="such as 0.05; 0 ends it")
    add_runs_dir(canary)

    keys = command("keys", "say who may ask a deployment, judge its answers, and decide about it").add_subparsers(
        required=True, metavar="ACTION", dest="action"
    )
    for name, summary in (("add", "make a key and show it once"), ("revoke", "end a key"), ("show", "list the keys")):
        action = keys.add_parser(name, help=summary, description=summary[0].upper() + summary[1:] + ".")
        action.set_defaults(command=later("keys", name))
        add_run(action)
        if name != "show":
            action.add_argument("key", metavar="NAME", help="the key's name")
        if name == "add":
            add_terms(action)
        add_runs_dir(action)

    forget = command("forget", "delete what a deployment knows of a user, and say what was trained on it")
    add_run(forget)
    forget.add_argument("user", metavar="USER")
    forget.add_argument("--rebuild", action="store_true", help="remove those generations and make the next without it")
    add_trust(forget)
    add_accept(forget)
    add_runs_dir(forget)

    why = command("why", "say why a trace trained a generation, or did not")
    add_run(why)
    why.add_argument("trace", metavar="TRACE", help="the trace's id")
    add_json(why)
    add_trust(why)
    add_runs_dir(why)

    simulate = command("simulate", "let simulated users ask a deployment that is served, and judge its answers")
    add_run(simulate)
    simulate.add_argument(
        "--url", default="http://127.0.0.1:8765", metavar="URL", help="where it is served (default: this machine)"
    )
    simulate.add_argument("--users", type=whole(1, 10_000), default=20, metavar="N", help="(default: 20)")
    simulate.add_argument("--rounds", type=whole(1, 10_000), default=1, metavar="N", help="times each task is asked")
    simulate.add_argument("--tasks", type=whole(1, 1_000_000), metavar="N", help="only the first N (default: all)")
    simulate.add_argument(
        "--profile",
        default="valid",
        metavar="POLICY",
        help="what they publish: a curation policy such as valid, noisy(0.1) or prefer(detour,3); or poison(SHARE): so "
        "many of them publish what is wrong, and the others what is valid (default: valid)",
    )
    add_trust(simulate)
    add_runs_dir(simulate)

    chats = command("import", "store chats from elsewhere, with what people said of them", "import_")
    chats.set_defaults(command=later("import_", "import_"))
    add_run(chats)
    chats.add_argument("file", type=Path, metavar="FILE", help="JSON lines: messages and a verdict or a score")
    chats.add_argument(
        "--config",
        default="deployment",
        metavar="CONFIG",
        help="of a deployment that is not there yet (default: the packaged one)",
    )
    add_trust(chats)
    add_runs_dir(chats)

    traffic = command("traffic", "show what users asked of each generation, and what they said of its answers")
    add_run(traffic)
    add_runs_dir(traffic)

    acts = command("acts", "show what was decided about a deployment, by whom and when")
    add_run(acts)
    add_json(acts, "one JSON object a line")
    add_runs_dir(acts)
