"""Whether the audit's intervals and warnings are right as often as they say, on pools whose preference is known.

    python benchmarks/calibrate_audit.py RUN_FOLDER [--pools 100]

Takes the answers of a finished run and curates them anew, many times, each time at random with a preference of our
own: `prefer(feature, strength)` as in `iterdeploy.curation.policies`, which the audit is not told about. Then it runs
the very audit of `iterdeploy audit` and counts. Pool number s of a row uses the random numbers of seed (row, s),
nothing else.
"""

import argparse
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from iterdeploy.audit import audit_observed, observe_run
from iterdeploy.audit.observe import Observations
from iterdeploy.record.run_dir import RunDir

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

HIDDEN = (
    ("detour", 2.0), ("plan_length", -0.1), ("reasoning_tokens", 0.1), ("detour", -1.0), ("plan_length", 0.05),
    ("detour", 0.5), ("reasoning_tokens", -0.1), ("plan_length", 0.1), ("detour", -2.0), ("plan_length", -0.05),
)  # fmt: skip
"""Pool s has the preference s modulo their number."""


def main() -> int:
    parser = argparse.ArgumentParser(description="Calibrate the audit.")
    parser.add_argument("run", type=Path, help="folder of a finished run")
    parser.add_argument("--pools", type=int, default=100)
    arguments = parser.parse_args()
    run_dir = RunDir.read(arguments.run)
    seen = observe_run(run_dir.store.traces(), ["valid"], {})
    run_dir.close()
    counts: Counter[str] = Counter()
    for number in range(arguments.pools):
        _known(seen, number, counts)
        _none(seen, number, counts)
        _not_growing(seen, number, counts)
        print(f"\r{number + 1} of {arguments.pools}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    for title in ROWS:
        print(f"{title:<86} {counts[title]:>5} of {counts[f'all: {title}']}")
    return 0


OVERALL = "known preference: the 95% interval over all generations covers it"
BY_GENERATION = "known preference: the 95% interval of one generation covers it"
WITHIN = "known preference: the 95% interval within tasks (the check) covers it"
OTHERS = "known preference: the 95% interval of another feature covers 0"
NOTHING = "no preference: it warns"
CALLED = "no preference: it calls some feature rewarded"
STILL = "a preference, but answers that do not change: it warns"
ROWS = (OVERALL, BY_GENERATION, WITHIN, OTHERS, NOTHING, CALLED, STILL)


def _known(seen: Observations, number: int, counts: "Counter[str]") -> None:
    feature, strength = HIDDEN[number % len(HIDDEN)]
    rewards = audit_observed(seen, _curated(seen, feature, strength, (0, number)), ["valid"])["rewards"]
    for name, one in rewards["published"]["features"].items():
        truth = strength if name == feature else 0.0
        _count(counts, OVERALL if name == feature else OTHERS, one, truth)
        for of_generation in one["by_generation"].values():
            if name == feature:
                _count(counts, BY_GENERATION, of_generation, truth)
    if feature in rewards["picked"]["features"]:
        _count(counts, WITHIN, rewards["picked"]["features"][feature], strength)


def _none(seen: Observations, number: int, counts: "Counter[str]") -> None:
    found = audit_observed(seen, _curated(seen, "detour", 0.0, (1, number)), ["valid"])
    counts[NOTHING] += bool(found["warnings"])
    counts[CALLED] += any(
        (one["p_corrected"] or 1) < 0.05 for one in found["rewards"]["published"]["features"].values()
    )
    counts.update([f"all: {NOTHING}", f"all: {CALLED}"])


def _not_growing(seen: Observations, number: int, counts: "Counter[str]") -> None:
    """The answers to each task trade their generations at random, so that no generation differs from another."""
    import numpy as np

    feature, strength = HIDDEN[number % len(HIDDEN)]
    order = np.lexsort((np.random.default_rng((3, number)).random(len(seen.task)), seen.task))
    generation = np.empty_like(seen.generation)
    generation[order] = seen.generation[np.argsort(seen.task, kind="stable")]
    shuffled = replace(seen, generation=generation)
    found = audit_observed(shuffled, _curated(shuffled, feature, strength, (2, number)), ["valid"])
    counts[STILL] += bool(found["warnings"])
    counts[f"all: {STILL}"] += 1


def _curated(seen: Observations, feature: str, strength: float, seed: tuple[int, int]) -> "NDArray[np.bool_]":
    """(G, R): valid answers, each kept once and for all with odds of exp(strength * (feature - 1/2))."""
    import numpy as np

    values = np.nan_to_num(seen.values[:, seen.names.index(feature)])
    chance = 1 / (1 + np.exp(-strength * (values - 0.5)))
    kept = (np.random.default_rng(seed).random(len(values)) < chance) & seen.valid & seen.deployed
    return np.stack([kept & (seen.generation <= last) for last in range(int(seen.generation.max()))])


def _count(counts: "Counter[str]", title: str, one: dict[str, Any], truth: float) -> None:
    """Whether the interval covers the truth; a feature that has none is not counted."""
    if one["low"] is None and one["high"] is None:
        return
    low = -float("inf") if one["low"] is None else one["low"]
    high = float("inf") if one["high"] is None else one["high"]
    counts[title] += low <= truth <= high
    counts[f"all: {title}"] += 1


if __name__ == "__main__":
    sys.exit(main())
