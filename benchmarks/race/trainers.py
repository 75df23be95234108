"""Which trainer settings decide the held-out coverage after one generation of `planted-slips`? A table over seeds.

    python benchmarks/race/trainers.py [--seeds 8] [--runs-dir runs/race] [--set tasks.deployed=20 ...]

Every arm and seed is a run of its own, named ARM-SEED, so an interrupted study goes on where it was. At one seed all
arms train on the same pool: their answers of generation 0 are the same.
"""

import argparse
import math
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

import iterdeploy
from iterdeploy.config_file import find_config, load_config

ARMS: dict[str, dict[str, object]] = {
    "shipped": {},
    "nothing-held-back": {"training.validation_share": 0.0},
    "rows-at-random": {"training.rows_per_batch": 20},
    "no-warm-up": {"training.warmup_share": 0.0},
    "all-three": {"training.validation_share": 0.0, "training.rows_per_batch": 20, "training.warmup_share": 0.0},
}
"""Name -> what is set otherwise than there. The last one is how TRL's SFTTrainer does it by default."""
FIXED = {"generations": 1, "evaluation.temperatures": []}


def coverage(arm: str, seed: int, runs_dir: Path, extra: Sequence[str]) -> tuple[float, float]:
    """Held-out coverage of generation 0 and of generation 1."""
    config = load_config(load_config(find_config("planted-slips"), list(extra)), {**FIXED, "seed": seed, **ARMS[arm]})
    with iterdeploy.run(config, name=f"{arm}-{seed}", runs_dir=runs_dir) as run:
        before, after = (generation.held_out for generation in run.generations)
    assert before is not None and after is not None
    return before.value, after.value


def table(found: Mapping[str, Sequence[tuple[float, float]]]) -> list[str]:
    """An arm's mean coverage, and its mean difference from the shipped settings at the same seeds with the standard
    error and the seeds at which it was better."""
    lines = [f"{'arm':<18} {'generation 0':>12} {'generation 1':>12} {'difference':>11} {'error':>6} {'better':>7}"]
    for arm, values in found.items():
        gaps = [mine[1] - base[1] for mine, base in zip(values, found["shipped"], strict=True)]
        error = statistics.stdev(gaps) / math.sqrt(len(gaps)) if len(gaps) > 1 else math.nan
        before, after = (statistics.mean(column) for column in zip(*values, strict=True))
        better = f"{sum(gap > 0 for gap in gaps)}/{len(gaps)}"
        lines.append(
            f"{arm:<18} {before:>12.1%} {after:>12.1%} {statistics.mean(gaps):>+11.1%} {error:>6.1%} {better:>7}"
        )
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--runs-dir", type=Path, default=Path("runs/race"))
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="of every arm")
    arguments = parser.parse_args()
    found: dict[str, list[tuple[float, float]]] = {arm: [] for arm in ARMS}
    for seed in range(arguments.seeds):
        for arm, values in found.items():
            values.append(coverage(arm, seed, arguments.runs_dir, arguments.set))
        print(f"\nafter {seed + 1} seeds", *table(found), sep="\n", flush=True)


if __name__ == "__main__":
    main()
