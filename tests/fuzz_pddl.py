"""Throws mutated domains, problems and plans at `iterdeploy.pddl`: whatever comes in, only `PddlError` may come out.

    python tests/fuzz_pddl.py --count 1000000 --seed 1

Each input must be read and judged within a time limit; a verdict must come for every plan text. The first input that
breaks a rule is printed whole, with its seed. Not run by pytest.
"""

import argparse
import random
import resource
import signal
import sys
import time
import traceback

from iterdeploy.pddl import Domain, PddlError, Problem, Verdict, validate
from naive_pddl import Naive
from test_pddl_properties import GARDEN, TOWERS, garden, noisy, random_walk, towers

LIMIT = 5
"""Seconds for one input, of which most take a millisecond."""

PIECES = """( ) ( ) ( ) and or not forall exists when imply = - ?x ?f ?t - object either increase (total-cost)
define :action :parameters :precondition :effect :types :constants :predicates :functions :derived :init :goal
:objects :durative-action :metric at 0 1 -1 1.5 1e9 nan rose0 bed0 k0 k1 (free) (night) ;"""
WORDS = [*PIECES.split(), "\ufeff", "\r", "\n", "\t", "\x00", "\u0130", "\u202e"]


def mutate(text: str, rng: random.Random) -> str:
    """The text with up to five changes, most of them small."""
    for _ in range(rng.choice([0, 1, 1, 1, 2, 5])):
        kind = rng.randrange(8)
        i, j = sorted([rng.randrange(len(text) + 1), rng.randrange(len(text) + 1)])
        near = min(j, i + rng.randrange(1, 30))
        if kind == 0:
            text = text[:i] + text[near:]
        elif kind == 1:
            text = text[:i] + rng.choice(WORDS) + text[i:]
        elif kind == 2:
            text = text[:i] + f" {rng.choice(WORDS)} " + text[near:]
        elif kind == 3:
            words = text.split(" ")
            a, b = rng.randrange(len(words)), rng.randrange(len(words))
            words[a], words[b] = words[b], words[a]
            text = " ".join(words)
        elif kind == 4:
            words = text.split(" ")
            words[rng.randrange(len(words))] = rng.choice(words)
            text = " ".join(words)
        elif kind == 5:
            text = text[:i] + text[i:near] * rng.choice([2, 2, 3, 50]) + text[near:]
        elif kind == 6:
            text = text[:i] + chr(rng.choice([rng.randrange(128), rng.randrange(0xD000)])) + text[i:]
        elif rng.random() < 0.02:
            text = text[:i] + rng.choice(WORDS) * rng.choice([10, 300, 100_000]) + text[i:]
    return text


def one_input(rng: random.Random) -> tuple[str, str, str]:
    domain_text, problem_of = rng.choice([(TOWERS, towers), (GARDEN, garden)])
    problem_text = problem_of(rng)
    plan_text = noisy(random_walk(Naive(domain_text, problem_text), rng, 2), rng)
    chosen = rng.randrange(1, 8)
    texts = [domain_text, problem_text, plan_text]
    return tuple([mutate(text, rng) if chosen & 1 << i else text for i, text in enumerate(texts)])  # type: ignore


def judge(texts: tuple[str, str, str]) -> str:
    """What became of the input, in a word."""
    try:
        domain = Domain.parse(texts[0])
    except PddlError:
        return "domain refused"
    try:
        problem = Problem.parse(texts[1], domain)
    except PddlError:
        return "problem refused"
    verdict = validate(domain, problem, texts[2])
    assert isinstance(verdict, Verdict) and len(verdict.reason) < 1500, verdict
    return str(verdict.status)


def stop(_signal: int, _frame: object) -> None:
    raise TimeoutError(f"not done after {LIMIT} seconds")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    signal.signal(signal.SIGALRM, stop)
    outcomes: dict[str, int] = {}
    begin, slowest = time.perf_counter(), 0.0
    for number in range(options.count):
        seed = f"{options.seed}-{number}"
        texts = one_input(random.Random(seed))
        start = time.perf_counter()
        signal.alarm(LIMIT)
        try:
            outcome = judge(texts)
        except Exception:
            signal.alarm(0)
            print(f"seed {seed} broke a rule:", *map(repr, texts), sep="\n")
            traceback.print_exc()
            sys.exit(1)
        signal.alarm(0)
        slowest = max(slowest, time.perf_counter() - start)
        outcomes[outcome] = outcomes.get(outcome, 0) + 1
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{options.count} inputs in {time.perf_counter() - begin:.0f} s, slowest {slowest:.2f} s, {memory:.0f} MB")
    print(", ".join(f"{count} {outcome}" for outcome, count in sorted(outcomes.items())))


if __name__ == "__main__":
    main()
