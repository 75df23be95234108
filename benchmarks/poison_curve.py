"""What attackers among the users of a deployment do to the next generation, with and without caps.

    python benchmarks/poison_curve.py [--config deployment] [--users 20] [--tasks 200] [--held-out 60]
                                      [--shares 0,0.05,0.1,0.2]

For each share of attackers, who publish what is wrong and reject what is right, a deployment is served and asked by
simulated users over HTTP. The same traces and judgements are then curated in three ways, each in a deployment of its
own that is advanced once: what is published; the same with a cap on each user; and the same where the validator has a
say. What is shown is the next generation's held-out coverage. Prints a table in Markdown.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Collection
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from helpers.serving import NAME, Live  # noqa: E402
from iterdeploy.cli.run import EXIT_STOPPED  # noqa: E402
from iterdeploy.config import RunConfig  # noqa: E402
from iterdeploy.config_file import find_config, load_config  # noqa: E402
from iterdeploy.gateway.serve import open_folder  # noqa: E402
from iterdeploy.record.run_dir import RunDir  # noqa: E402

CURATIONS = {
    "published": ["published", "best_per_task"],
    "capped": ["published", "best_per_task", "at_most_per_user(0.06)"],
    "published and valid": ["published", "valid", "best_per_task"],
}


def main() -> None:
    parser = argparse.ArgumentParser(description="The poison curve.")
    parser.add_argument("--config", default="deployment")
    parser.add_argument("--users", type=int, default=20)
    parser.add_argument("--tasks", type=int, default=200, help="that are asked")
    parser.add_argument("--held-out", type=int, default=60, help="tasks on which a generation is measured")
    parser.add_argument("--shares", default="0,0.05,0.1,0.2", help="of the users, who attack")
    arguments = parser.parse_args()
    print("| attackers | curation | pool | wrong in the pool | held-out coverage [95% interval] |")
    print("|---|---|---|---|---|", flush=True)
    for share in arguments.shares.split(","):
        with tempfile.TemporaryDirectory() as folder:
            store = _asked(Path(folder, "asked"), share, arguments)
            for name, policies in CURATIONS.items():
                found = _advanced(Path(folder, name), store, _config(policies, arguments))
                print(f"| {float(share):.0%} | {name} | {found} |", flush=True)


def _config(policies: list[str], arguments: argparse.Namespace) -> RunConfig:
    """The gate is open, as what it would keep back is what is to be seen."""
    listed = ", ".join(f'"{policy}"' for policy in policies)
    overrides = [f"curation.policies=[{listed}]", f"tasks.held_out={arguments.held_out}", "deployment.margin=1"]
    overrides += ["deployment.held_out_traffic=0", "deployment.max_drift=1000", "deployment.max_warnings=1000"]
    return load_config(find_config(arguments.config), overrides)


def _asked(folder: Path, share: str, arguments: argparse.Namespace) -> Path:
    """The store of a deployment that was asked and judged."""
    live = Live(folder, _config(CURATIONS["published"], arguments))
    try:
        _command(folder, "simulate", NAME, "--url", f"http://127.0.0.1:{live.port}", "--users", arguments.users,
                 "--tasks", arguments.tasks, "--profile", f"poison({share})")  # fmt: skip
        live.settle()
    finally:
        live.end()
    return live.path / "traces.sqlite"


def _advanced(folder: Path, store: Path, config: RunConfig) -> str:
    """Pool, share of it that is wrong, and coverage of the generation that it trained."""
    folder.mkdir()
    open_folder(folder / NAME, config, ["benchmarks/poison_curve.py"])
    shutil.copyfile(store, folder / NAME / "traces.sqlite")
    if _command(folder, "advance", NAME, statuses=(0, EXIT_STOPPED)) == EXIT_STOPPED:
        return "0 | - | nothing was left to train on"
    run_dir = RunDir.read(folder / NAME)
    pool, found = run_dir.pool(0), run_dir.metrics()[1].held_out
    assert pool is not None and found is not None
    wrong = sum(not trace.valid for trace in run_dir.store.light(pool.weights))
    run_dir.close()
    interval = f"[{found.interval.low:.1%}, {found.interval.high:.1%}]"
    return f"{len(pool.weights)} | {wrong / len(pool.weights):.0%} | {found.coverage:.1%} {interval}"


def _command(folder: Path, *words: object, statuses: Collection[int] = (0,)) -> int:
    """The exit status, which is one of those that may be."""
    command = [sys.executable, "-m", "iterdeploy", *map(str, words), "--runs-dir", str(folder)]
    status = subprocess.run(command, stdout=subprocess.DEVNULL).returncode
    assert status in statuses, (command, status)
    return status


if __name__ == "__main__":
    main()
