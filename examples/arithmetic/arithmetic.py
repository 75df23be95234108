"""Sums of two numbers: a task set, a curation policy and a feature in one file."""

import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from pydantic import BaseModel, Field

from iterdeploy import Completion, Task, Trace, Verdict, WeightedTrace


class Arithmetic:
    """What is a + b? No pair of numbers is both deployed and held out."""

    class Options(BaseModel, extra="forbid"):
        """The keys of [tasks.options]."""

        largest: int = Field(9, ge=1, le=99)
        """The largest number that is added."""
        held_out: int = Field(30, ge=0)

    def __init__(self, options: Options, seed: int) -> None:
        numbers = range(options.largest + 1)
        pairs = [(a, b) for a in numbers for b in numbers]
        random.Random(seed).shuffle(pairs)
        self._options = options
        self.held_out = [_task("held_out", a, b) for a, b in pairs[: options.held_out]]
        self._deployed = [_task("deployed", a, b) for a, b in pairs[options.held_out :]]

    def deployed(self, generation: int) -> Sequence[Task]:
        return self._deployed

    def judge(self, task: Task, completions: Sequence[Completion]) -> Verdict:
        said = completions[-1].text.strip()
        if not said.isdecimal():
            return Verdict.unparseable("not a whole number")
        if said != task.payload["sum"]:
            return Verdict.invalid(f"the sum is {task.payload['sum']}, not {said}", answer=int(said))
        return Verdict.valid(answer=int(said))

    def describe(self) -> Mapping[str, str]:
        return {"Tasks": f"sums of two numbers from 0 to {self._options.largest}"}


def _task(split: str, a: int, b: int) -> Task:
    total = str(a + b)
    return Task.make(domain="sums", size=len(total), split=split, prompt=f"{a} + {b} =", payload={"sum": total})


def at_most_of_each_sum(count: int) -> Callable[[Sequence[WeightedTrace]], list[WeightedTrace]]:
    """A curation policy: at most `count` traces with the same sum, so that common sums do not crowd out the rest."""

    def keep(traces: Sequence[WeightedTrace]) -> list[WeightedTrace]:
        seen: Counter[object] = Counter()
        kept = []
        for weighted in traces:
            answer = weighted.trace.verdict.answer
            seen[answer] += 1
            if seen[answer] <= count:
                kept.append(weighted)
        return kept

    return keep


def ends_in_zero(trace: Trace) -> float:
    """A feature, for `prefer` and for the audit."""
    return float(trace.text.strip().endswith("0"))


def show(draw: random.Random) -> tuple[str, str]:
    """A prompt and an answer for `tiny_model.py`: right two times in three, else close to it."""
    a, b = draw.randrange(10), draw.randrange(10)
    total = a + b if draw.random() < 2 / 3 else max(0, a + b + draw.choice((-2, -1, 1, 2)))
    return f"{a} + {b} =", f" {total}"
