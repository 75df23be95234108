"""Writes the tables of "Three domains on a laptop" in docs/results.md to standard output, from finished runs.

    python docs/laptop.py runs sokoban-0 sokoban-1 sokoban-2 sokoban-no-curation-0

The first argument is the folder of the runs. Seeds of one configuration are one row each, and one more where there are
several: the mean over seeds with its t interval, as `iterdeploy compare` has it.
"""

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from iterdeploy.report.comparison import Arm, Run, compare, never_seen, read_run, seen
from iterdeploy.report.trend import Point
from iterdeploy.run_dir import RunDir

Row = list[str]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs_dir", type=Path)
    parser.add_argument("runs", nargs="+")
    arguments = parser.parse_args()
    comparison = compare([read_run(RunDir.read(arguments.runs_dir / name)) for name in arguments.runs])
    for title, heads, row in TABLES:
        print(f"\n**{title}**\n")
        print(f"| | {' | '.join(heads)} |\n{'|---' * (len(heads) + 1)}|")
        for arm in comparison.arms:
            rows = [Arm(run.name, [run]) for run in arm.runs]
            for one in [*rows, arm] if len(rows) > 1 else rows:
                print(f"| {one.title} | {' | '.join(row(one))} |")


def coverage(arm: Arm) -> Row:
    found = arm.coverage("held_out")
    ratio = arm.ratio("held_out")
    return [*_ends(found, told), "-" if ratio is None else f"{ratio.value:.2f} ({ratio.low:.2f} to {ratio.high:.2f})"]


def two_effects(arm: Arm) -> Row:
    return [*_ends(arm.coverage("held_out", seen), told), *_ends(arm.coverage("held_out", never_seen), told)]


def plans(arm: Arm) -> Row:
    """Longest and mean length of the solved held-out tasks' plans, and of the deployed tasks' longest."""
    found = []
    for split, key in (("held_out", "longest_plan"), ("held_out", "mean_plan"), ("deployed", "longest_plan")):
        found.append(" → ".join(_ends(_mean(arm, split, key), lambda point: f"{point.value:.3g}")))
    return found


def samples(arm: Arm) -> Row:
    """All three samples of a held-out task, some of the three, and answers without a plan."""
    cells = [" → ".join(_ends(_mean(arm, "held_out", key), _percent)) for key in ("unanimous_at_k", "pass_at_k")]
    for verdict in ("truncated", "unparseable"):
        cells.append(" → ".join(_ends(arm.mean(lambda one, verdict=verdict: _share(one, verdict)), _percent)))
    cells.append(" → ".join(_ends(_mean(arm, "held_out", "reasoning_tokens"), lambda point: f"{point.value:.0f}")))
    return cells


def by_size(arm: Arm) -> Row:
    run = arm.runs[0]
    sizes = sorted({(task.domain, task.size) for task in run.tasks(0, "held_out")})
    cells = []
    for domain, size in sizes:
        found = arm.coverage("held_out", lambda _, task, at=(domain, size): (task.domain, task.size) == at)
        new = "*" if all(_new(one, domain, size) for one in arm.runs) else ""
        cells.append(f"{size}{new}: " + " → ".join(_ends(found, lambda point: f"{point.value:.0%}")))
    return [", ".join(cells)]


def _new(run: Run, domain: str, size: int) -> bool:
    return bool(run.seen_sizes) and size not in run.seen_sizes.get(domain, ())


def _mean(arm: Arm, split: str, key: str) -> dict[int, Point]:
    return arm.mean(lambda one: one[split][key])


def _share(one: Mapping[str, Any], verdict: str) -> float:
    verdicts: Mapping[str, int] = one["held_out"]["verdicts"]
    return verdicts[verdict] / sum(verdicts.values())


def _ends(found: Mapping[int, Point], say: Callable[[Point], str]) -> Row:
    """What there is to say of the first and of the last generation."""
    return [say(found[min(found)]), say(found[max(found)])] if found else ["-", "-"]


def _percent(point: Point) -> str:
    return f"{point.value:.1%}"


def told(point: Point) -> str:
    around = "" if point.low is None or point.high is None else f" ({point.low:.1%} to {point.high:.1%})"
    return f"{point.value:.1%}{around}"


TABLES: list[tuple[str, list[str], Callable[[Arm], Row]]] = [
    ("Held-out coverage", ["generation 0", "last generation", "ratio"], coverage),
    (
        "Reliability (sizes that pretraining showed) and generalisation (sizes that it never showed)",
        ["seen, generation 0", "seen, last", "never seen, generation 0", "never seen, last"],
        two_effects,
    ),
    ("Plans, first → last generation", ["longest held-out", "mean held-out", "longest deployed"], plans),
    (
        "Answers to held-out tasks, first → last generation",
        ["unanimous@3", "pass@3", "truncated", "unparseable", "reasoning tokens"],
        samples,
    ),
    ("Held-out coverage by size (* never seen), first → last generation", ["sizes"], by_size),
]

if __name__ == "__main__":
    main()
