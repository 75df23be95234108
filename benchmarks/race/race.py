"""A generation of `planted-slips` by a plain script (`plain.py`) and by iterdeploy, one thread each: what does it cost?

    python benchmarks/race/race.py --val PATH/Validate [--seeds 3] [--out runs/race] [--set tasks.deployed=20 ...]

Needs `pip install trl datasets`. Each side and seed is a process of its own, whose CPU time (its children's included),
wall time and peak memory are written down when it ends; what is written down is not measured again.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from iterdeploy.api.look import Run
from iterdeploy.config import RunConfig
from iterdeploy.config_file import find_config, load_config
from iterdeploy.models.loading import model_folder
from iterdeploy.tasks import task_set

HERE = Path(__file__).parent
CONFIG = find_config("planted-slips")


@dataclass(frozen=True)
class Measured:
    cpu: float
    """Seconds, those of its children included."""
    wall: float
    memory: float
    """MB, of the largest of its processes."""
    before: float
    """Held-out coverage of generation 0."""
    after: float


def write_tasks(config: RunConfig, path: Path) -> None:
    tasks = task_set(config)
    rows = [
        {"id": task.id, "split": task.split.value, "prompt": task.prompt, **task.payload}
        for task in [*tasks.deployed(0), *tasks.held_out]
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def spent(command: Sequence[str]) -> tuple[float, float, float]:
    """CPU seconds, wall seconds and peak MB of a command, which must succeed."""
    began, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return cpu, time.monotonic() - began, after.ru_maxrss / 1024


def plain(seed: int, config: RunConfig, out: Path, val: str) -> Measured:
    tasks = out / f"tasks-{seed}.jsonl"
    write_tasks(config, tasks)
    folder = out / f"plain-{seed}"
    script = [sys.executable, str(HERE / "plain.py"), str(tasks), str(model_folder(config.model)), str(folder)]
    cost = spent([*script, "--val", val, "--seed", str(seed), "--epochs", str(config.training.epochs)])
    shares = []
    for number in (0, 1):
        rows = [json.loads(line) for line in (folder / f"answers-{number}.jsonl").read_text("utf-8").splitlines()]
        shares.append(statistics.mean(row["plan"] is not None for row in rows if row["split"] == "held_out"))
    return Measured(*cost, *shares)


def ours(seed: int, changes: Sequence[str], out: Path) -> Measured:
    sets = [word for change in changes for word in ("--set", change)]
    command = [
        sys.executable,
        "-m",
        "iterdeploy",
        "run",
        "planted-slips",
        "--runs-dir",
        str(out),
        "--name",
        f"ours-{seed}",
    ]
    cost = spent([*command, *sets])
    with Run(f"ours-{seed}", out) as run:
        before, after = (generation.held_out for generation in run.generations)
    assert before is not None and after is not None
    return Measured(*cost, before.value, after.value)


def lines_of_code(path: Path) -> int:
    lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    return sum(bool(line) and not line.startswith("#") for line in lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--val", required=True, help="VAL's program")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("runs/race"))
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="of the configuration")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    changes = ["generations=1", "evaluation.temperatures=[]", "sampling.processes=1", *arguments.set]
    found: dict[str, list[Measured]] = {"plain": [], "ours": []}
    for seed in range(arguments.seeds):
        for side, values in found.items():
            note = arguments.out / f"{side}-{seed}.json"
            if not note.exists():
                seeded = [*changes, f"seed={seed}"]
                config = load_config(CONFIG, seeded)
                made = plain(seed, config, arguments.out, arguments.val) if side == "plain" else ours(
                    seed, seeded, arguments.out
                )  # fmt: skip
                note.write_text(json.dumps(asdict(made)) + "\n", encoding="utf-8")
            values.append(Measured(**json.loads(note.read_text(encoding="utf-8"))))
    code = {"plain": lines_of_code(HERE / "plain.py"), "ours": lines_of_code(CONFIG)}
    print(f"Means of {arguments.seeds} seeds")
    print(f"{'side':<6} {'CPU s':>7} {'wall s':>7} {'MB':>6} {'before':>7} {'after':>7} {'lines':>6}")
    for side, values in found.items():
        cpu, wall, memory, before, after = (
            statistics.mean(column) for column in zip(*(asdict(each).values() for each in values), strict=True)
        )
        print(f"{side:<6} {cpu:>7.0f} {wall:>7.0f} {memory:>6.0f} {before:>7.1%} {after:>7.1%} {code[side]:>6}")


if __name__ == "__main__":
    main()
