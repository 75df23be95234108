"""Throws random and mutated domains, problems, plan files and answers of a model at everything that reads them.

    PYTHONPATH=tests python -m helpers.fuzz --count 1000000 --seed 1

Half of the inputs are files for `iterdeploy.pddl`, of which only `PddlError` may come out and every plan text gets a
verdict. A quarter are answers, of which a plan or the reason why there is none must come, and then a verdict that is
never ERROR. A quarter are plans, right and wrong, among prose, facts and lines that cannot be read: the plan that was
written must come, or none, so that no wrong one becomes VALID. Each must be done within a limit of processor time,
and all within a limit of memory. Inputs of a million parentheses, tags, steps or digits come first. An input that
breaks a rule is printed with its seed. Not for pytest.
"""

import argparse
import json
import random
import re
import resource
import signal
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain

from helpers.naive_pddl import Naive
from helpers.random_pddl import GARDEN, TOWERS, garden, noisy, random_walk, spoil, towers
from iterdeploy.pddl import Domain, PddlError, Problem, Verdict, format_plan, parse_plan, validate, validate_steps
from iterdeploy.planning.extract import extract_plan
from iterdeploy.planning.judge import BUILT_IN, Judge
from iterdeploy.planning.obfuscate import disguise, uncover
from iterdeploy.planning.plans import plan_of
from iterdeploy.types import Completion, Split, Status
from iterdeploy.types import Task as AskedTask

SECONDS = 10
"""Processor time for one input, of which most take a third of a millisecond."""
MEMORY = 1 << 30
"""Bytes of address space for the whole process."""
TASKS = 150
"""Tasks that the inputs start from."""

PIECES = """( ) ( ) ( ) and or not forall exists when imply = - ?x ?f ?t - object either increase (total-cost)
define :action :parameters :precondition :effect :types :constants :predicates :functions :derived :init :goal
:objects :durative-action :metric at 0 1 -1 1.5 1e9 nan rose0 bed0 k0 k1 (free) (night) ;"""
ODD = ["\ufeff", "\r", "\n", "\t", "\x00", "\x1b", "\x0b", "\x85", "\u0130", "\u202e", "\u2028", "\ud800", "\U0001f600"]
FILE_WORDS = [*PIECES.split(), *ODD]
TAGS = "<think> </think> <plan> </plan> <plan> </plan> <PLAN> </Plan> <plan </plan ``` ```pddl \n```\n \n<plan>\n"
STYLES = [
    "1. ",
    "2) ",
    "- ",
    "* ",
    "• ",
    "0.0: ",
    " [1]",
    ";",
    ",",
    "**",
    "`",
    "Step 3: ",
    "(",
    ")",
    "((",
    "()",
    "\n\n",
]
PROSE = [
    "The plan:", "I do this.", "Then:", "Step two:", "So it ends.", "This reaches the goal:", "## Plan", "**Plan**",
    "---", "[PLAN]", "[PLAN END]", "Why (in short)?", "1. Look.", "- Note that it works.", "and so on", "...", "Done",
    "Step 2:", "Block k0 (the red one) is free.", "3.", "; (wait)", "```", "~~~", "<b>",
]  # fmt: skip
FACTS = ["(top k0)", "(free)", "- (under k1 k0)", "`(night)`", "(wet bed0) and (night)", "(plan_end)", "(so it ends)"]
SPOILT = [
    "{}\\", "[{}", "{} - first", "{}: as (free) holds", "{}<br>", "({}", "{}x2", "# {}", "{} [later]", "First {}.",
    "3- {}", "{}; {}", "{}...", "plan {}", "{{{}}}", "- [x] {}",
]  # fmt: skip
WORDS = [*TAGS.split(" "), *STYLES, "(lift k0)", "drop(k0)", "(wait)", "and so on", *ODD]


@dataclass(frozen=True)
class Start:
    """A task with a plan of a few steps that can be taken, and all that is needed to judge others."""

    domain_text: str
    problem_text: str
    domain: Domain
    problem: Problem
    plan: list[tuple[str, ...]]
    true_names: dict[str, str]
    """Random name -> true name, in the tasks that are shown under random names."""

    @property
    def actions(self) -> set[str]:
        """Names of the actions as the model sees them."""
        known = self.domain.actions
        return {name for name, true_name in self.true_names.items() if true_name in known} or set(known)

    @property
    def asked(self) -> AskedTask:
        payload = {"domain": self.domain_text, "problem": self.problem_text}
        if self.true_names:
            payload["true_names"] = json.dumps(self.true_names)
        return AskedTask("0", self.domain.name, 1, Split.DEPLOYED, "", payload)


def starts(rng: random.Random) -> list[Start]:
    found = []
    for i in range(TASKS):
        domain_text, problem_of = [(TOWERS, towers), (GARDEN, garden)][i % 2]
        problem_text = problem_of(rng)
        domain = Domain.parse(domain_text)
        plan = random_walk(Naive(domain_text, problem_text), rng, 4)
        names = disguise(domain_text, problem_text).true_names if i % 3 == 0 else {}
        found.append(Start(domain_text, problem_text, domain, Problem.parse(problem_text, domain), plan, names))
    return found


def mutate(text: str, rng: random.Random, words: list[str]) -> str:
    """The text with up to five changes, most of them small."""
    for _ in range(rng.choice([0, 1, 1, 1, 2, 5])):
        kind = rng.randrange(8)
        i, j = sorted([rng.randrange(len(text) + 1), rng.randrange(len(text) + 1)])
        near = min(j, i + rng.randrange(1, 30))
        if kind == 0:
            text = text[:i] + text[near:]
        elif kind == 1:
            text = text[:i] + rng.choice(words) + text[i:]
        elif kind == 2:
            text = text[:i] + f" {rng.choice(words)} " + text[near:]
        elif kind in (3, 4):
            parts = text.split(" ")
            a, b = rng.randrange(len(parts)), rng.randrange(len(parts))
            parts[a], parts[b] = parts[b], parts[a] if kind == 3 else parts[b]
            text = " ".join(parts)
        elif kind == 5:
            text = text[:i] + text[i:near] * rng.choice([2, 2, 3, 50]) + text[near:]
        elif kind == 6:
            text = text[:i] + chr(rng.randrange(rng.choice([128, 128, 0x3000, 0x110000]))) + text[i:]
        elif rng.random() < 0.02:
            text = text[:i] + rng.choice(words) * rng.choice([10, 10, 300, 300, 30_000]) + text[i:]
    return text


def soup(rng: random.Random, words: list[str]) -> str:
    """Words in no order at all."""
    return rng.choice(["", " ", "\n"]).join(rng.choices(words, k=rng.randrange(40)))


def read_files(start: Start, texts: tuple[str, str, str]) -> str:
    """What became of a domain, a problem and a plan file. Texts that were not changed are not parsed once more."""
    try:
        domain = start.domain if texts[0] == start.domain_text else Domain.parse(texts[0])
    except PddlError:
        return "domains refused"
    same = domain is start.domain and texts[1] == start.problem_text
    try:
        problem = start.problem if same else Problem.parse(texts[1], domain)
    except PddlError:
        return "problems refused"
    verdict = validate(domain, problem, texts[2])
    assert isinstance(verdict, Verdict) and len(verdict.reason) < 1500, verdict
    return f"plan files {verdict.status}"


JUDGE = Judge(BUILT_IN)
PLAN_TAG = re.compile("</?plan>", re.IGNORECASE)


def read_answer(start: Start, texts: tuple[str]) -> str:
    """What became of an answer of a model."""
    (text,) = texts
    found = extract_plan(text, start.actions)
    verdict = JUDGE.judge(start.asked, [Completion(text, (), (), None, "stop", 0)])
    assert verdict.status is not Status.ERROR and len(verdict.reason) < 1500, verdict.reason[:2000]
    assert bool(verdict.facts.get("strict")) == found.strict
    if found.steps is None:
        assert found.problem and not found.strict and verdict.status is Status.UNPARSEABLE
        return "answers unparseable"
    assert not found.problem and all(chain.from_iterable([(step, *step) for step in found.steps]))
    assert parse_plan(format_plan(found.steps)) == list(found.steps), "a plan file does not hold the plan"
    plan = plan_of(verdict)
    assert plan == uncover(found.steps, start.true_names)
    again = validate_steps(start.domain, start.problem, plan)
    assert (again.status.value, again.reason) == (verdict.status.value, verdict.reason)
    tags = list(PLAN_TAG.finditer(text))
    if [tag[0].lower() for tag in tags] == ["<plan>", "</plan>"] and "think" not in text.lower():
        lines = text[tags[0].end() : tags[1].start()].splitlines()
        assert len(found.steps) == sum([line.partition(";")[0].count("(") for line in lines]), "a shorter plan"
    return f"answers {verdict.status}{' strict' if found.strict else ''}"


def read_surrounded(start: Start, texts: tuple[str, str]) -> str:
    """What became of an answer that holds, among other things, the plan of the second text."""
    text, written = texts
    steps = tuple(parse_plan(written))
    found = extract_plan(text, start.actions)
    right = validate_steps(start.domain, start.problem, uncover(steps, start.true_names)).valid
    verdict = JUDGE.judge(start.asked, [Completion(text, (), (), None, "stop", 0)])
    assert verdict.status is not Status.VALID or right, "a wrong plan became a right one"
    assert found.steps == steps or verdict.status in (Status.UNPARSEABLE, Status.INVALID), found
    assert found.steps in (None, steps) or {step[0] for step in found.steps} - start.actions, found
    return f"surrounded plans {'read' if found.steps else 'not read'}, {'right' if right else 'wrong'}"


Reader = Callable[[Start, tuple], str]


def files(start: Start, rng: random.Random) -> tuple[str, str, str]:
    texts = [start.domain_text, start.problem_text, noisy(start.plan, rng)]
    chosen = rng.choice([1, 2, 2, 3, 4, 4, 4, 5, 6, 7])
    for i in range(3):
        if chosen & 1 << i:
            texts[i] = mutate(texts[i], rng, FILE_WORDS) if rng.random() < 0.97 else soup(rng, FILE_WORDS)
    return texts[0], texts[1], texts[2]


def answer(start: Start, rng: random.Random) -> tuple[str]:
    if rng.random() < 0.1:
        return (soup(rng, WORDS),)
    hidden = {name: word for word, name in start.true_names.items()} if rng.random() < 0.9 else {}
    steps = [tuple([hidden.get(word, word) for word in step]) for step in start.plan]
    style = rng.choice([0, 0, 0, 1, 2, 3, 4, 5])
    prefix = ["", "", "- ", "{}. ", "Step {}: ", "{}.0: "][style]
    lines = [
        prefix.format(i) + (f"{step[0]}({', '.join(step[1:])})" if style == 1 else f"({' '.join(step)})")
        for i, step in enumerate(steps, 1)
    ]
    plan = "\n".join([*lines, ""])
    plan = rng.choice(["<plan>\n{}</plan>", "<plan>\n{}</plan>", "```pddl\n{}```", "The plan:\n{}"]).format(plan)
    thought = rng.choice(
        ["", "<think>\nFirst lift, then (drop k0).\n</think>\n", "Well,\n</think>\n", f"{plan}\nNo:\n"]
    )
    return (mutate(thought + plan, rng, WORDS),)


def surrounded(start: Start, rng: random.Random) -> tuple[str, str]:
    """An answer without <plan>, with its plan: whole or spoilt, in one piece or several, among lines of other kinds."""
    hidden = {name: word for word, name in start.true_names.items()}
    steps = [tuple([hidden.get(word, word) for word in step]) for step in start.plan]
    if rng.random() < 0.5:
        steps = spoil(steps, rng, [hidden.get(name, name) for name in start.problem.objects])
    prefix = rng.choice(["", "", "- ", "{}. ", "Step {}: ", "{}.0: "])
    lines = [prefix.format(i) + f"({' '.join(step)})" for i, step in enumerate(steps, 1)]
    known = [i for i, step in enumerate(steps) if step[0] in start.actions]
    if known and rng.random() < 0.3:
        i = rng.choice(known)
        lines[i] = rng.choice(SPOILT).format(*[lines[i]] * 2)
    fence = rng.choice(["", "", "```"])
    lines = [fence, *lines, fence]
    for _ in range(rng.choice([0, 1, 2, 2, 4])):
        at = rng.choice([0, len(lines), rng.randrange(len(lines) + 1)])
        noise = rng.choice([PROSE, PROSE, ["This holds:"], [""]])
        lines[at:at] = [rng.choice(noise), rng.choice([*FACTS, "", ""])]
    return "\n".join(lines), format_plan(steps)


def extremes(start: Start) -> Iterator[tuple[Reader, tuple]]:
    """What is read in time that grows with the square of the text, or with recursion, does not survive these."""
    many = 1_000_000
    domain, problem = start.domain_text, start.problem_text
    longs = ["(" * many, ")" * many, "(" * many + ")" * many, "(a" * many, "0" * many, " " * many, "(wait)" * 100_000]
    for long in longs:
        yield read_files, (long, problem, "")
        yield read_files, (domain.replace("(night)", f"(night) {long}", 1), problem, "")
        yield read_files, (domain, long, "")
        yield read_files, (domain, problem.replace(":init", f":init {long}"), "")
        yield read_files, (domain, problem, long)
        yield read_files, (domain, problem, f"0.{long}: (wait)")
    for text in products(20_000):
        yield read_files, (f"(define (domain d) {text} (:predicates (p)))", problem, "")
    longs += [word * 100_000 for word in WORDS] + ["<think>\n</think>" * many, "(wait)\n" * 100_000, "1.1:" * many]
    for long in longs:
        yield read_answer, (long,)
        yield read_answer, (f"<plan>\n{long}\n</plan>",)
        yield read_answer, (f"<plan>\n({long} a)\n</plan>",)
        yield read_answer, (f"```\n{long}\n```",)
        yield read_answer, (f"- {long} (wait)\n",)


def products(many: int) -> Iterator[str]:
    """Sections of a domain with two long lists; what copies one for each item of the other runs out of memory."""
    names, slots = (" ".join([f"{mark}n{i}" for i in range(many)]) for mark in ("", "?"))
    yield f"(:types {names}) (:constants {names} - (either {names}))"
    yield f"(:types {names} - (either {names}))"
    yield f"(:types {names}) (:constants {' '.join([f'a - n{i}' for i in range(many)])})"
    yield f"(:types {names}) (:action a :parameters ({slots} - (either {names})))"
    yield f"(:action a :precondition {'(and ' * 150}{'(p)' * many}{')' * 150})"
    yield f"(:action a :precondition (forall ({slots}) (and {'(exists (?x) (p))' * many})))"
    yield f"(:action a :effect (forall ({slots}) (and {'(forall (?x) (p))' * many})))"
    yield f"(:action a :effect (when (and {'(p)' * many}) (and {'(when (p) (p))' * many})))"


def inputs(count: int, seed: int) -> Iterator[tuple[str, Start, Reader, tuple]]:
    """(seed, task, reader, texts) of every input."""
    tasks = starts(random.Random(seed))
    for i, (reader, texts) in enumerate(extremes(tasks[1])):
        yield f"extreme {i}", tasks[1], reader, texts
    for number in range(count):
        rng = random.Random(f"{seed}-{number}")
        task = rng.choice(tasks)
        if number % 2:
            yield f"{seed}-{number}", task, read_files, files(task, rng)
        elif number % 4:
            yield f"{seed}-{number}", task, read_answer, answer(task, rng)
        else:
            yield f"{seed}-{number}", task, read_surrounded, surrounded(task, rng)


def stop(_signal: int, _frame: object) -> None:
    raise TimeoutError(f"not done after {SECONDS} seconds")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    signal.signal(signal.SIGPROF, stop)
    outcomes: Counter[str] = Counter()
    begin, slowest = time.perf_counter(), (0.0, "")
    for number, (seed, task, reader, texts) in enumerate(inputs(options.count, options.seed), 1):
        start = time.process_time()
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        try:
            outcome = reader(task, texts)
        except Exception:
            signal.setitimer(signal.ITIMER_PROF, 0)
            print(f"input {seed} broke a rule:", *[ascii(text)[:5000] for text in texts], sep="\n")
            traceback.print_exc()
            sys.exit(1)
        signal.setitimer(signal.ITIMER_PROF, 0)
        slowest = max(slowest, (time.process_time() - start, seed))
        outcomes[outcome] += 1
        if number % 100_000 == 0:
            print(f"{number} inputs in {time.perf_counter() - begin:.0f} s", flush=True)
    seconds, memory = time.perf_counter() - begin, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    total = outcomes.total()
    print(
        f"{total} inputs in {seconds:.0f} s ({total / seconds:.0f} a second; {time.process_time():.0f} s of processor)"
    )
    print(f"slowest {slowest[0]:.2f} s ({slowest[1]}), at most {memory:.0f} MB")
    print(", ".join(f"{count} {outcome}" for outcome, count in sorted(outcomes.items())))


if __name__ == "__main__":
    main()
