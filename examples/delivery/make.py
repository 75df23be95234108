"""Writes problems of the domain: python examples/delivery/make.py FOLDER COUNT [SEED]

One or two parcels among three places, each to be taken to another place; never the same problem twice.
"""

import random
import sys
from pathlib import Path


def problem(draw: random.Random) -> str:
    places = [f"place{number}" for number in sorted(draw.sample(range(1, 7), 3))]
    parcels = [f"parcel{number}" for number in sorted(draw.sample(range(1, 7), draw.choice((1, 2))))]
    moves = [(parcel, *draw.sample(places, 2)) for parcel in parcels]
    start = "\n".join([f"  (van-at {draw.choice(places)})", *(f"  (at {parcel} {here})" for parcel, here, _ in moves)])
    goal = " ".join(f"(at {parcel} {there})" for parcel, _, there in moves)
    return f"""(define (problem deliver) (:domain delivery)
 (:objects {" ".join(places)} - place {" ".join(parcels)} - parcel)
 (:init
{start})
 (:goal (and {goal})))
"""


def main(folder: Path, count: int, seed: str = "0") -> None:
    draw = random.Random(seed)
    texts: dict[str, None] = {}
    while len(texts) < count:
        texts[problem(draw)] = None
    folder.mkdir(parents=True)
    for number, text in enumerate(texts, 1):
        (folder / f"p{number:03}.pddl").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:])
