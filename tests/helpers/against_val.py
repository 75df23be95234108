"""Random numeric and axiom tasks, judged by `iterdeploy.pddl`, by the naive validator and by VAL.

    PYTHONPATH=tests python -m helpers.against_val --count 2000 --val /opt/val/Validate

VAL computes in floats and takes numbers for equal that are close, see `naive_numbers`. So each case is judged four
times: `iterdeploy.pddl` must agree with the exact naive validator, VAL with the one in floats, and where the two pairs
differ it is arithmetic that differs. Without `--val` the first pair alone is compared. Not for pytest.
"""

import argparse
import statistics
import time
from collections import Counter
from pathlib import Path

from helpers.naive_numbers import NaiveNumbers, Undefined
from helpers.random_numeric import KINDS, Case, random_case
from iterdeploy.pddl import Domain, Problem, Verdict, validate_steps
from iterdeploy.pddl.val import validate_with_val


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--val", default="")
    parser.add_argument("--keep", type=Path, help="folder for the cases on which an unexplained verdict differs")
    options = parser.parse_args()
    counts: Counter[str] = Counter()
    kinds: Counter[str] = Counter()
    seconds: dict[str, list[float]] = {"iterdeploy": [], "VAL": []}
    for seed in range(options.seed, options.seed + options.count):
        case = random_case(seed)
        kinds.update(case.kinds)
        started = time.perf_counter()
        domain = Domain.parse(case.domain)
        ours = validate_steps(domain, Problem.parse(case.problem, domain), case.plan)
        seconds["iterdeploy"].append(time.perf_counter() - started)
        valid, failed_step, metric = NaiveNumbers(case.domain, case.problem).judge(case.plan)
        counts[f"iterdeploy: {ours.status}"] += 1
        same = (ours.valid, ours.failed_step) == (valid, failed_step)
        same = same and (
            metric is None or (ours.cost is not None and abs(ours.cost - metric) < 1e-6 * max(1, abs(metric)))
        )
        counts[f"iterdeploy and exact: {'agree' if same else 'DIFFER'}"] += 1
        if options.val:
            started = time.perf_counter()
            theirs = validate_with_val(case.domain, case.problem, case.plan, options.val)
            seconds["VAL"].append(time.perf_counter() - started)
            result = _with_val(case, ours, theirs)
            counts[result] += 1
            same = same and "DIFFER" not in result
        if not same and options.keep:
            _keep(options.keep / str(seed), case)
    for name, number in sorted(counts.items()):
        print(f"{number:6}  {name}")
    print("\ncases with", *[f"{kinds[kind]:6}  {kind}" for kind in KINDS], sep="\n")
    for name, times in seconds.items():
        if times:
            print(f"\n{name}: {1000 * statistics.median(times):.2f} ms a case with parsing (median)")


def _with_val(case: Case, ours: Verdict, theirs: Verdict) -> str:
    """How VAL's verdict stands to ours, and why where it is another."""
    floats = NaiveNumbers(case.domain, case.problem, floats=True)
    try:
        rough = "valid" if floats.judge(case.plan)[0] else "invalid"
    except Undefined:
        rough = "error"
    said = f"VAL {theirs.status}, iterdeploy {ours.status}"
    if floats.unsure:
        return f"a function has no value: {said}"
    if theirs.status != rough:
        return f"VAL and floats: DIFFER ({said}, floats {rough})"
    return f"VAL agrees: {ours.status}" if theirs.status is ours.status else f"VAL computes otherwise: {said}"


def _keep(folder: Path, case: Case) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    plan = "".join(f"({' '.join(step)})\n" for step in case.plan)
    for name, text in {"domain.pddl": case.domain, "problem.pddl": case.problem, "plan": plan}.items():
        (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
