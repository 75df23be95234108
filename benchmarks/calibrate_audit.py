"""Whether the audit is right as often as it says, on pools whose curation is known; also where its model is wrong.

    python benchmarks/calibrate_audit.py RUN_FOLDER [--pools 100] [--only drift,curators]

Takes the answers of a finished run of `planted-slips` and curates them anew, many times, at random by a rule of its
own that the audit does not know. Pool number s of a row uses the random numbers of seed (row, s), nothing else. Printed
are shares of pools, each with its own Monte Carlo error: the 95% interval of Wilson.
"""

import argparse
import sys
from pathlib import Path

from calibration import curators, drift, few, found, heritability, looks, phrases
from calibration.pools import Answers, Rates

CHAPTERS = {
    "found": found.chapter,
    "drift": drift.chapter,
    "few": few.chapter,
    "looks": looks.chapter,
    "phrases": phrases.chapter,
    "curators": curators.chapter,
    "heritability": heritability.chapter,
}


def main() -> int:
    parser = argparse.ArgumentParser(description="Calibrate the audit.")
    parser.add_argument("run", type=Path, help="folder of a finished run")
    parser.add_argument("--pools", type=int, default=100, help="for each row (default: 100)")
    parser.add_argument("--only", default=",".join(CHAPTERS), help="chapters, with commas between them")
    arguments = parser.parse_args()
    answers = Answers.read(arguments.run)
    for name in arguments.only.split(","):
        rates = Rates()
        for number in range(arguments.pools):
            CHAPTERS[name](answers, number, rates)
            print(f"\r{name}: {number + 1} of {arguments.pools}", end="", file=sys.stderr, flush=True)
        print(file=sys.stderr)
        print(f"## {name}\n\n{rates.table()}\n", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
