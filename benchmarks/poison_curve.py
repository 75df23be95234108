"""What attackers among the users of a deployment do to the next generation, with and without caps.

    python benchmarks/poison_curve.py [--config deployment] [--users 20] [--tasks 400] [--shares 0,0.05,0.1,0.2]

For each share of attackers, who publish what is wrong and reject what is right, a deployment of its own is served,
asked by simulated users over HTTP, and advanced once, by three curations: what is published; the same with a cap on
each user; and the same where the validator has a say. What is shown is the next generation's held-out coverage.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from helpers.serving import NAME, Live  # noqa: E402
from iterdeploy.config_file import find_config, load_config  # noqa: E402
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
    parser.add_argument("--tasks", type=int, default=400)
    parser.add_argument("--shares", default="0,0.05,0.1,0.2")
    arguments = parser.parse_args()
    print(
        "| attackers | curation | pool | wrong in the pool | held-out coverage [95% interval] |\n|---|---|---|---|---|"
    )
    for share in arguments.shares.split(","):
        for name, policies in CURATIONS.items():
            print(f"| {float(share):.0%} | {name} | {_measured(share, policies, arguments)} |", flush=True)


def _measured(share: str, policies: list[str], arguments: argparse.Namespace) -> str:
    listed = ", ".join(f'"{policy}"' for policy in policies)
    overrides = [f"curation.policies=[{listed}]", "deployment.held_out_traffic=0", "deployment.margin=1"]
    overrides += ["deployment.max_drift=1000", "deployment.max_warnings=1000"]
    config = load_config(find_config(arguments.config), overrides)
    with tempfile.TemporaryDirectory() as folder:
        live = Live(Path(folder), config)
        try:
            _command(folder, "simulate", NAME, "--url", f"http://127.0.0.1:{live.port}", "--users", arguments.users,
                     "--tasks", arguments.tasks, "--profile", f"poison({share})")  # fmt: skip
            _command(folder, "advance", NAME)
        finally:
            live.end()
        run_dir = RunDir.read(live.path)
        pool = (run_dir.pool(0) or {"weights": {}})["weights"]
        wrong = sum(not trace.valid for trace in run_dir.store.light(pool))
        found = run_dir.metrics()[1]["held_out"]
        run_dir.close()
    low, high = found["interval"]
    return f"{len(pool)} | {wrong / max(1, len(pool)):.0%} | {found['coverage']:.1%} [{low:.1%}, {high:.1%}]"


def _command(folder: str, *words: object) -> None:
    command = [sys.executable, "-m", "iterdeploy", *map(str, words), "--runs-dir", folder]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    main()
