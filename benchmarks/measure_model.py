"""What a model solves: by size, by temperature, in other layouts of the same tasks, and of tasks in files.

    python benchmarks/measure_model.py blocksworld-reader --domain blocksworld --sizes 3-12 --tasks 40
    python benchmarks/measure_model.py blocksworld-reader --domain blocksworld --sizes 3-9 --tasks 40 --layouts
    python benchmarks/measure_model.py blocksworld-reader --files planbench/domain.pddl "planbench/generated*.pddl"

MODEL is an embedded model or the folder of one. One answer to each task at each of the --temperatures; 0.1 is nearly
greedy. Tasks follow from --seed and are none that a run or a pretraining makes. Layouts change the text of a task and
leave what it asks, or ask for less of it: every layout has the same tasks.
"""

import argparse
from collections.abc import Callable, Iterator, Sequence
from glob import glob
from pathlib import Path

from iterdeploy.config import RunConfig, ValidationConfig
from iterdeploy.metrics.results import mean_interval
from iterdeploy.models.loading import base_policy, model_folder
from iterdeploy.pddl import Problem
from iterdeploy.planning.domain import PlanningDomain, Step
from iterdeploy.planning.domains import DOMAINS
from iterdeploy.planning.domains.common import problem_text
from iterdeploy.planning.judge import Judge
from iterdeploy.planning.make import make_task
from iterdeploy.planning.parsed import domain_of, problem_of
from iterdeploy.planning.rng import Rng
from iterdeploy.samplers.transformers import TransformersSampler
from iterdeploy.sections import parse_sizes
from iterdeploy.types import Split, Task

BATCH = 100
Layout = Callable[[Problem, Rng], tuple[Sequence[Step], Sequence[Step]]]
"""Initial facts and goal of the same task in another layout."""
LAYOUTS: dict[str, Layout] = {
    "as written": lambda problem, rng: (problem.init_list, problem.goal_atoms()),
    "facts in any order": lambda problem, rng: (rng.shuffled(problem.init_list), rng.shuffled(problem.goal_atoms())),
    "sorted": lambda problem, rng: (sorted(problem.init_list), sorted(problem.goal_atoms())),
    "goal cut": lambda problem, rng: (rng.shuffled(problem.init_list), _part(problem, rng)),
    "other names": lambda problem, rng: (rng.shuffled(problem.init_list), rng.shuffled(problem.goal_atoms())),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--domain", choices=list(DOMAINS), default="blocksworld")
    parser.add_argument("--sizes", default="3-10")
    parser.add_argument("--tasks", type=int, default=40, help="of each size")
    parser.add_argument("--files", nargs=2, metavar=("DOMAIN", "PATTERN"))
    parser.add_argument("--layouts", action="store_true")
    parser.add_argument("--temperatures", default="0.1,0.6,1.0")
    parser.add_argument("--tokens", type=int, default=1200)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    if arguments.files:
        rows = {"files": list(_from_files(*map(Path, arguments.files)))}
    else:
        ours = DOMAINS[arguments.domain]
        texts = [
            (size, ours.generate(size, Rng("measured", arguments.seed, size, i), f"measured-{size}-{i}"))
            for size in parse_sizes(arguments.sizes)
            for i in range(arguments.tasks)
        ]
        layouts = LAYOUTS if arguments.layouts else {"as written": LAYOUTS["as written"]}
        rows = {name: [_laid_out(ours, size, text, name) for size, text in texts] for name in layouts}
    for temperature in map(float, arguments.temperatures.split(",")):
        for name, tasks in rows.items():
            _measure(arguments.model, tasks, name, temperature, arguments.tokens)


def _measure(model: str, tasks: list[Task], name: str, temperature: float, tokens: int) -> None:
    sampling = {"temperature": temperature, "max_new_tokens": tokens, "batch_size": BATCH}
    config = RunConfig.model_validate(
        {
            "generations": 0,
            "model": {"name": model, "threads": 1},
            "tasks": {"deployed": 1, "held_out": 0},
            "sampling": sampling,
            "training": {"learning_rate": 1e-3},
        }
    )
    judge = Judge(ValidationConfig())
    solved: dict[int, list[bool]] = {}
    longest = 0
    with TransformersSampler(base_policy(model_folder(config.model)), config) as sampler:
        in_order = sorted(tasks, key=lambda task: len(task.prompt))
        for start in range(0, len(in_order), BATCH):
            batch = in_order[start : start + BATCH]
            for task, completion in zip(batch, sampler.sample([task.prompt for task in batch], start), strict=True):
                verdict = judge.judge(task, [completion])
                valid = verdict.status.value == "valid"
                solved.setdefault(task.size, []).append(valid)
                longest = max(longest, int(verdict.facts.get("plan_length", 0)) if valid else 0)
    everything = [valid for answers in solved.values() for valid in answers]
    interval = mean_interval([float(valid) for valid in everything], len(everything))
    sizes = " ".join(f"{size}:{100 * sum(valid) / len(valid):.0f}" for size, valid in sorted(solved.items()))
    share = f"{100 * sum(everything) / len(everything):.1f}% [{100 * interval.low:.1f}, {100 * interval.high:.1f}]"
    print(f"T={temperature:<4g} {name:18} {share} of {len(everything)}, longest plan {longest}; {sizes}", flush=True)


def _from_files(domain_file: Path, pattern: Path) -> Iterator[Task]:
    domain_text = domain_file.read_text(encoding="utf-8")
    for path in sorted(glob(str(pattern))):
        if Path(path).resolve() != domain_file.resolve():
            text = Path(path).read_text(encoding="utf-8")
            yield _task(domain_text, text, len(problem_of(text, domain_text).objects), "known")


def _laid_out(ours: PlanningDomain, size: int, text: str, layout: str) -> Task:
    problem = problem_of(text, ours.pddl)
    init, goal = LAYOUTS[layout](problem, Rng("layout", layout, text))
    constants = domain_of(ours.pddl).constants
    things = [([name], kind) for name, kind in problem.objects.items() if name not in constants]
    laid_out = problem_text(problem.name, ours.name, things, init, goal)
    return _task(ours.pddl, laid_out, size, "known" if layout == "other names" else "own")


def _task(domain_text: str, text: str, size: int, names: str) -> Task:
    config = RunConfig.model_validate({"tasks": {"kind": "pddl", "names": names}, "training": {"learning_rate": 1.0}})
    return make_task(domain_text, text, domain_of(domain_text).name, size, Split.HELD_OUT, config.tasks)


def _part(problem: Problem, rng: Rng) -> list[Step]:
    """What stands on what, in Blocksworld, or else half of the goal; all of it where nothing else is left to do."""
    goal = problem.goal_atoms()
    some = [atom for atom in goal if atom[0] == "on"] or rng.sample(goal, (len(goal) + 1) // 2)
    return some if not set(some) <= problem.init else goal


if __name__ == "__main__":
    main()
