"""`iterdeploy tasks`: writes seeded tasks as PDDL files, and shows one as a model sees it."""

import argparse
from pathlib import Path

from iterdeploy.config import TasksConfig
from iterdeploy.planning.domain import PlanningDomain
from iterdeploy.planning.domains import DOMAINS
from iterdeploy.planning.make import make_task
from iterdeploy.planning.obfuscate import disguise
from iterdeploy.planning.parsed import domain_of, read_domain, read_problem
from iterdeploy.planning.rng import Rng
from iterdeploy.sections import ConfigError
from iterdeploy.types import Split
from iterdeploy.wording import say


def make(arguments: argparse.Namespace) -> int:
    from iterdeploy.record.files import write_text
    from iterdeploy.record.run_dir import RunDirError

    domain = _domain(arguments.domain)
    files = {"domain.pddl": domain.pddl}
    width = len(str(arguments.count))
    for index, size in enumerate(_sizes(domain, arguments.size, arguments.count)):
        files[f"p{index + 1:0{width}d}.pddl"] = _generated(domain, size, arguments.seed, index)
    taken = [name for name in files if (arguments.out / name).exists()]
    if taken:
        raise RunDirError(f"{arguments.out / taken[0]} exists already; nothing was written: choose another --out")
    arguments.out.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        write_text(arguments.out / name, text)
    say(f"{arguments.count} {domain.name} tasks and their domain in {arguments.out}")
    return 0


def show(arguments: argparse.Namespace) -> int:
    name, domain_text, problem_text = _one_task(arguments)
    if arguments.pddl:
        if arguments.obfuscate:
            hidden = disguise(domain_text, problem_text)
            domain_text, problem_text = hidden.domain, hidden.problem
        say(f"{domain_text.strip()}\n\n{problem_text.strip()}")
        return 0
    values = {"deployed": 1, "held_out": 0, "prompt": arguments.prompt, "obfuscate": arguments.obfuscate}
    config = TasksConfig.model_validate({**values, "references": "none"})
    say(make_task(domain_text, problem_text, name, 0, Split.DEPLOYED, config).prompt, end="")
    return 0


def _one_task(arguments: argparse.Namespace) -> tuple[str, str, str]:
    """Name of the domain, text of the domain, text of the problem."""
    if arguments.problem is None:
        domain = _domain(arguments.domain)
        (size,) = _sizes(domain, str(arguments.size), 1)
        return domain.name, domain.pddl, _generated(domain, size, arguments.seed, 0)
    domain_text = read_domain(Path(arguments.domain), "DOMAIN")
    return domain_of(domain_text).name, domain_text, read_problem(arguments.problem, domain_text, "PROBLEM")


def _generated(domain: PlanningDomain, size: int, seed: int, index: int) -> str:
    return domain.generate(size, Rng("task", domain.name, seed, index), f"{domain.name}-{index + 1}")


def _sizes(domain: PlanningDomain, wanted: str, count: int) -> list[int]:
    try:
        return domain.sizes(wanted, count)
    except ValueError as error:
        raise ConfigError(f"--size: {error}") from None


def _domain(name: str) -> PlanningDomain:
    if name not in DOMAINS:
        raise ConfigError(f"{name!r} is not a planning domain; there are {', '.join(sorted(DOMAINS))}")
    return DOMAINS[name]
