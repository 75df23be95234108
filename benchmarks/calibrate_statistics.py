"""Whether intervals cover and verdicts hold, on simulated answers of which the truth is known.

    python benchmarks/calibrate_statistics.py [--replicates 2000] [--only verdicts,intervals]

Replicate s of a chapter uses the random numbers of seed (chapter, s), nothing else. Printed are shares of replicates,
each with its target and its own Monte Carlo error.
"""

import argparse
import sys

from calibration import intervals, verdicts
from calibration.rates import Rates

CHAPTERS = {"verdicts": verdicts.chapter, "intervals": intervals.chapter}


def main() -> int:
    parser = argparse.ArgumentParser(description="Calibrate verdicts and intervals.")
    parser.add_argument("--replicates", type=int, default=2000, help="(default: 2000)")
    parser.add_argument("--only", default=",".join(CHAPTERS), help="chapters, with commas between them")
    arguments = parser.parse_args()
    for name in arguments.only.split(","):
        rates = Rates()
        for number in range(arguments.replicates):
            CHAPTERS[name](number, rates)
            if number % 20 == 19:
                print(f"\r{name}: {number + 1} of {arguments.replicates}", end="", file=sys.stderr, flush=True)
        print(file=sys.stderr)
        print(f"## {name}\n\n{rates.table()}\n", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
