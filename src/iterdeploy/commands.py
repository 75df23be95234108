"""What the commands do: each takes the parsed arguments, prints, and returns the exit status."""

import argparse
import json
import math
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from iterdeploy.config import ConfigError, RunConfig, find_config, load_config, parse_sizes
from iterdeploy.run_dir import RunDir, RunDirError
from iterdeploy.summary import status as status_of
from iterdeploy.summary import table

EXIT_STOPPED = 3


def run(arguments: argparse.Namespace) -> int:
    path = find_config(arguments.config)
    config = load_config(path, arguments.set)
    if arguments.dry_run:
        return _dry_run(config)
    return _run(config, arguments.runs_dir / _checked_name(arguments.name or path.stem))


def resume(arguments: argparse.Namespace) -> int:
    path = _run_path(arguments)
    return _run(load_config(path / "config.toml"), path)


def _run(config: RunConfig, path: Path) -> int:
    from iterdeploy.loop import run as run_loop
    from iterdeploy.parts import assemble
    from iterdeploy.progress import Display
    from iterdeploy.report import write_report
    from iterdeploy.stops import Stopped

    _quiet()
    parts = assemble(config)
    run_dir = RunDir.open(path, config, sys.argv)
    try:
        try:
            run_loop(run_dir, parts, Display())
            stopped = None
        except Stopped as stop:
            run_dir.stop(stop.state, str(stop), {"counts": stop.counts})
            stopped = stop
        if run_dir.metrics():
            target = write_report(run_dir)
        run_dir.store.add_seconds(parts.clock.take())
        if stopped is not None:
            print(f"iterdeploy: stopped ({stopped.state}): {stopped}", file=sys.stderr)
            return EXIT_STOPPED
        print(target)
        return 0
    finally:
        run_dir.close()


def _quiet() -> None:
    """Nothing is fetched over the network while a run goes on, and libraries keep their remarks to themselves."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")


def _dry_run(config: RunConfig) -> int:
    from iterdeploy.parts import assemble, prompt_lengths

    parts = assemble(config)
    deployed, held_out = parts.tasks.deployed(0), parts.tasks.held_out
    lengths = prompt_lengths(Path(parts.base.base_model), [*deployed, *held_out])
    answers = len(deployed) * config.sampling.samples + len(held_out) * config.sampling.held_out_samples
    generations_in_all = config.generations + 1
    most_tokens = answers * generations_in_all * config.sampling.max_new_tokens
    lines = {
        "model": parts.base.base_model,
        "tasks": f"{len(deployed)} deployed{' per generation' if config.tasks.fresh else ''}, {len(held_out)} held out",
        "prompts": f"{min(lengths)} to {max(lengths)} tokens",
        "answers": f"{answers} per generation, {answers * generations_in_all} in {generations_in_all} generations",
        "tokens to sample": f"at most {most_tokens:,}",
        "curation": ", then ".join(config.curation.policies),
        "training": f"{config.training.method}, {config.training.epochs} epochs from {config.training.start_from}",
        "disk": f"at most about {math.ceil(most_tokens * 8 / 1e6):,} MB of traces",
    }
    width = max(map(len, lines))
    for name, value in lines.items():
        print(f"{name:<{width}}  {value}")
    print("The configuration is sound; nothing was loaded, sampled or written.")
    return 0


def status(arguments: argparse.Namespace) -> int:
    run_dir = RunDir.read(_run_path(arguments))
    found = status_of(run_dir)
    run_dir.close()
    if arguments.json:
        print(json.dumps(found, indent=1))
        return 0
    state = found["state"] + (f" (process {found['pid']})" if "pid" in found else "")
    print(f"{found['run']}: {state}" + (f": {found['reason']}" if "reason" in found else ""))
    if found["generations"]:
        _console().print(table(found["generations"]))
    return 0


def report(arguments: argparse.Namespace) -> int:
    from iterdeploy.report import write_report

    run_dir = RunDir.read(_run_path(arguments))
    if not run_dir.metrics():
        raise RunDirError(f"{run_dir.path}: no generation has been measured yet; run `iterdeploy resume` first")
    print(write_report(run_dir))
    return 0


def traces(arguments: argparse.Namespace) -> int:
    from iterdeploy.types import Status

    run_dir = RunDir.read(_run_path(arguments))
    wanted = Status(arguments.status) if arguments.status else None
    prompts = {task.id: task.prompt for task in run_dir.store.tasks()}
    for trace in run_dir.store.traces(generation=arguments.generation, status=wanted):
        verdict = trace.verdict
        entry: dict[str, Any] = {
            "id": trace.id,
            "task_id": trace.task_id,
            "domain": trace.domain,
            "size": trace.size,
            "split": trace.split.value,
            "generation": trace.generation,
            "sample_index": trace.sample_index,
            "policy_id": trace.policy_id,
            "status": verdict.status.value,
            "reason": verdict.reason,
            "failed_step": verdict.failed_step,
            "plan": [f"({' '.join(step)})" for step in verdict.plan],
            "cost": verdict.cost,
            "tokens": len(trace.completion.token_ids),
            "reasoning_tokens": trace.completion.reasoning_tokens,
            "finish_reason": trace.completion.finish_reason,
            "prompt": prompts[trace.task_id],
            "text": trace.completion.text,
        }
        if arguments.json:
            print(json.dumps(entry))
        else:
            print(
                f"generation {trace.generation}  {trace.task_id}  sample {trace.sample_index}  {trace.split.value}  "
                f"size {trace.size}  {verdict.status.value}  {verdict.reason}".rstrip()
            )
    return 0


def tasks_make(arguments: argparse.Namespace) -> int:
    from iterdeploy.planning.rng import Rng
    from iterdeploy.run_dir import write_text

    domain = _domain(arguments.domain)
    sizes = _sizes(arguments.size)
    if arguments.count < 1:
        raise ConfigError(f"--count: at least 1, not {arguments.count}")
    problems = {
        f"p{index + 1:0{len(str(arguments.count))}d}": domain.generate(
            sizes[index % len(sizes)], Rng("task", domain.name, arguments.seed, index), f"{domain.name}-{index + 1}"
        )
        for index in range(arguments.count)
    }
    files = {"domain.pddl": domain.pddl} | {f"{name}.pddl": text for name, text in problems.items()}
    taken = [name for name in files if (arguments.out / name).exists()]
    if taken:
        raise RunDirError(f"{arguments.out / taken[0]} exists already; nothing was written: choose another --out")
    arguments.out.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        write_text(arguments.out / name, text)
    print(f"{len(problems)} {domain.name} tasks and their domain in {arguments.out}")
    return 0


def tasks_show(arguments: argparse.Namespace) -> int:
    from iterdeploy.pddl import Domain, Problem
    from iterdeploy.planning import prompts
    from iterdeploy.planning.rng import Rng

    domain = _domain(arguments.domain)
    text = domain.generate(arguments.size, Rng("task", domain.name, arguments.seed, 0), f"{domain.name}-1")
    print(prompts.compact(domain, Problem.parse(text, Domain.parse(domain.pddl))), end="")
    return 0


def pretrain(arguments: argparse.Namespace) -> int:
    from iterdeploy.config import check, read_toml
    from iterdeploy.pretrain import PretrainConfig
    from iterdeploy.pretrain import pretrain as make

    _quiet()
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


def _console() -> Console:
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = 180
    return console


def _run_path(arguments: argparse.Namespace) -> Path:
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


def _domain(name: str) -> Any:
    from iterdeploy.planning.domains import DOMAINS

    if name not in DOMAINS:
        raise ConfigError(f"{name!r} is not a planning domain; there are {', '.join(sorted(DOMAINS))}")
    return DOMAINS[name]


def _sizes(text: str) -> Sequence[int]:
    try:
        return parse_sizes(text)
    except ValueError as error:
        raise ConfigError(f"--size: {error}") from None
