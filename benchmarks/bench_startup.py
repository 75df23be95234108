"""How fast the commands that load no model answer, as whole processes, compared with a bare interpreter.

    python benchmarks/bench_startup.py [--rounds 21]

The commands take turns, so that a busy moment of the machine hits all of them. Prints one table: median seconds and
the ratio to `python -c pass`.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from iterdeploy.pddl import Domain, Problem, format_plan
from iterdeploy.planning.domains import DOMAINS
from iterdeploy.planning.rng import Rng


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=21)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder:
        files = write_task(Path(folder))
        iterdeploy = [str(Path(sys.executable).with_name("iterdeploy"))]
        commands = {
            "python -c pass": [sys.executable, "-c", "pass"],
            "iterdeploy --help": [*iterdeploy, "--help"],
            "iterdeploy validate": [*iterdeploy, "validate", *files],
        }
        seconds: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(rounds):
            for name, command in commands.items():
                began = time.perf_counter()
                subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
                seconds[name].append(time.perf_counter() - began)
    bare = statistics.median(seconds["python -c pass"])
    print(f"{'whole process':<22}{'median s':>10}{'largest s':>11}{'ratio':>8}")
    for name, values in seconds.items():
        median = statistics.median(values)
        print(f"{name:<22}{median:>10.3f}{max(values):>11.3f}{median / bare:>8.1f}")


def write_task(folder: Path) -> list[str]:
    """Domain, problem and plan file of a task with 20 blocks."""
    domain = DOMAINS["blocksworld"]
    text = domain.generate(20, Rng("bench", 0), "bench")
    plan = format_plan(domain.solve(Problem.parse(text, Domain.parse(domain.pddl))))
    for name, content in {"domain.pddl": domain.pddl, "problem.pddl": text, "plan.txt": plan}.items():
        (folder / name).write_text(content, encoding="utf-8")
    return [str(folder / name) for name in ("domain.pddl", "problem.pddl", "plan.txt")]


if __name__ == "__main__":
    main()
