"""What the commands do: each takes the parsed arguments, prints, and returns the exit status."""

import argparse
import json
import os
import shlex
import sys
from pathlib import Path

from rich.console import Console

from iterdeploy.config import ConfigError, RunConfig
from iterdeploy.config_file import find_config, load_config
from iterdeploy.run_dir import RunDir, RunDirError
from iterdeploy.summary import status as status_of
from iterdeploy.summary import table

EXIT_STOPPED = 3


def run(arguments: argparse.Namespace) -> int:
    path = find_config(arguments.config)
    config = load_config(path, arguments.set)
    if arguments.dry_run:
        from iterdeploy.dry_run_command import dry_run

        return dry_run(config, arguments)
    name = _checked_name(arguments.name or path.stem)
    if arguments.seeds is None:
        return _run(config, arguments.runs_dir / name)
    return _run_seeds(config, arguments.runs_dir, name, arguments.seeds)


def _run_seeds(config: RunConfig, runs_dir: Path, name: str, count: int) -> int:
    """One run for each of `count` seeds, the configuration's first; called again, it goes on where it stopped."""
    if count < 1:
        raise ConfigError(f"--seeds: at least one run is needed, not {count}")
    seeds = range(config.seed, config.seed + count)
    ends = [_run(config.model_copy(update={"seed": seed}), runs_dir / f"{name}-{seed}") for seed in seeds]
    names = [f"{name}-{seed}" for seed in seeds]
    print("compare them with:", shlex.join(["iterdeploy", "compare", *names, "--runs-dir", str(runs_dir)]))
    return max(ends)


def resume(arguments: argparse.Namespace) -> int:
    path = run_path(arguments)
    return _run(load_config(path / "config.toml"), path)


def _run(config: RunConfig, path: Path) -> int:
    from iterdeploy.keys import command_without_keys
    from iterdeploy.loop import run as run_loop
    from iterdeploy.models.loading import code_files, tokenizer_digest
    from iterdeploy.parts import assemble
    from iterdeploy.progress import Display
    from iterdeploy.report import write_report
    from iterdeploy.report.verdict import outcome
    from iterdeploy.stops import Stopped

    quiet()
    parts = assemble(config)
    folder = Path(parts.base.base_model)
    code = code_files(folder) if config.model.trust_remote_code else None
    if code is not None:
        names = ", ".join(code) or "there is none"
        print(f"iterdeploy: warning: Python code of {config.model.name} may run: {names}", file=sys.stderr)
    run_dir = RunDir.open(path, config, command_without_keys(sys.argv), code, tokenizer_digest(folder))
    stopped: Stopped | None = None
    try:
        try:
            run_loop(run_dir, parts, Display())
        except Stopped as stop:
            stopped = stop
            run_dir.stop(stop.state, str(stop), {"counts": stop.counts})
        if run_dir.metrics():
            print(write_report(run_dir))
            print(outcome(run_dir.metrics()).sentence)
        run_dir.store.add_seconds(parts.clock.take())
    finally:
        run_dir.close()
    if stopped is None:
        return 0
    print(f"iterdeploy: stopped ({stopped.state}): {stopped}", file=sys.stderr)
    return EXIT_STOPPED


def quiet() -> None:
    """Nothing is fetched over the network while a run goes on, and libraries keep their remarks to themselves."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")


def status(arguments: argparse.Namespace) -> int:
    run_dir = RunDir.read(run_path(arguments))
    found = status_of(run_dir)
    run_dir.close()
    if arguments.json:
        print(json.dumps(found, indent=1))
        return 0
    state = found["state"] + (f" (process {found['pid']})" if "pid" in found else "")
    print(f"{found['run']}: {state}" + (f": {found['reason']}" if "reason" in found else ""))
    if found["generations"]:
        console().print(table(found["generations"]))
    return 0


def report(arguments: argparse.Namespace) -> int:
    from iterdeploy.report import write_figures, write_report

    run_dir = RunDir.read(run_path(arguments))
    if not run_dir.metrics():
        raise RunDirError(f"{run_dir.path}: no generation has been measured yet; run `iterdeploy resume` first")
    print(write_report(run_dir))
    if arguments.figures:
        print(f"{len(write_figures(run_dir, arguments.figures))} files of figures in {arguments.figures}")
    return 0


def traces(arguments: argparse.Namespace) -> int:
    from iterdeploy.export.columns import IN_TOKENS, trace_row, trained_by
    from iterdeploy.types import Status

    run_dir = RunDir.read(run_path(arguments))
    wanted = Status(arguments.status) if arguments.status else None
    prompts = {task.id: task.prompt for task in run_dir.store.tasks()}
    trained = trained_by(run_dir)
    for trace in run_dir.store.traces(generation=arguments.generation, status=wanted):
        if arguments.json:
            row = trace_row(trace, prompts[trace.task_id], trained.get(trace.id, []))
            print(json.dumps({name: value for name, value in row.items() if name not in IN_TOKENS}))
        else:
            print(
                f"generation {trace.generation}  {trace.task_id}  sample {trace.sample_index}  {trace.split.value}  "
                f"size {trace.size}  {trace.verdict.status.value}  {trace.verdict.reason}".rstrip()
            )
    return 0


def pretrain(arguments: argparse.Namespace) -> int:
    from iterdeploy.config_file import check, read_toml
    from iterdeploy.pretrain import pretrain as make
    from iterdeploy.pretrain_config import PretrainConfig

    quiet()
    path = find_config(arguments.config)
    config = check(PretrainConfig, read_toml(path), arguments.set, str(path))
    print(make(config, arguments.out or Path("pretrained") / config.name))
    return 0


def models(arguments: argparse.Namespace) -> int:
    from iterdeploy.models.loading import context_length, embedded_models

    for name, folder in embedded_models().items():
        megabytes = sum(path.stat().st_size for path in folder.glob("*.safetensors")) / 1e6
        print(f"{name}  {megabytes:.1f} MB, context {context_length(folder)} tokens, {folder}")
    return 0


def console() -> Console:
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = 180
    return console


def run_path(arguments: argparse.Namespace) -> Path:
    path: Path = arguments.runs_dir / _checked_name(arguments.run)
    if not (path / "config.toml").is_file():
        there = sorted(entry.parent.name for entry in arguments.runs_dir.glob("*/config.toml"))
        known = f"the runs there are {', '.join(there)}" if there else "there are no runs there"
        raise RunDirError(f"{path}: no such run; {known} (--runs-dir says where runs are kept)")
    return path


def _checked_name(name: str) -> str:
    if not name or name in (".", "..") or "/" in name or "\\" in name:
        raise ConfigError(f"--name: {name!r} cannot be a folder's name")
    return name
