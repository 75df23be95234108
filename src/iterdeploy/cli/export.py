"""`iterdeploy export`: a generation's model, or the traces, as a folder for other programs."""

import argparse
from pathlib import Path

from iterdeploy.cli.common import run_path
from iterdeploy.export import make_folder
from iterdeploy.record.run_dir import RunDir
from iterdeploy.record.trust import trusted_config
from iterdeploy.sections import ConfigError
from iterdeploy.wording import say


def export(arguments: argparse.Namespace) -> int:
    if arguments.push:
        from iterdeploy.export.hub import check_push

        check_push(arguments.push)
    path = run_path(arguments)
    if arguments.merge:
        trusted_config(path, arguments.trust)  # the model's own code would run
    run_dir = RunDir.read(path)
    try:
        kind = "dataset" if arguments.traces else "model"
        say(_traces(run_dir, arguments) if arguments.traces else _model(run_dir, arguments))
    finally:
        run_dir.close()
    if arguments.push:
        from iterdeploy.export.hub import push

        say(push(arguments.to, arguments.push, kind))
    return 0


def _model(run_dir: RunDir, arguments: argparse.Namespace) -> Path:
    from iterdeploy.export.model import export_model, policy_of

    policy = policy_of(run_dir, arguments.generation)
    if arguments.push and policy.adapter and not arguments.merge and not arguments.base:
        raise ConfigError(
            f"--push: others cannot load an adapter over {policy.base_model}; say what the Hub calls the base model "
            "with --base OWNER/NAME, or --merge them"
        )
    return make_folder(
        arguments.to, lambda out: export_model(run_dir, policy, out, merge=arguments.merge, base=arguments.base)
    )


def _traces(run_dir: RunDir, arguments: argparse.Namespace) -> str:
    from iterdeploy.export.traces import export_traces

    for option in ("merge", "base"):
        if getattr(arguments, option):
            raise ConfigError(f"--{option} needs --generation")
    suffixes: list[str] = []
    made = make_folder(arguments.to, lambda out: suffixes.extend(export_traces(run_dir, out)))
    hint = "" if "parquet" in suffixes else "; for Parquet, too: pip install pyarrow"
    return f"{made} ({', '.join(suffixes)}{hint})"
