"""A thousand samplers on a clock that is not real, and the run's real store: do its writes keep up?

    python benchmarks/simulate_scale.py [--samplers 1000] [--answers 2000] [--answer-tokens 15000]

Every sampler answers one batch after another at the rate that the estimate gives one GPU; when an answer is there is
decided by the fake clock, and nothing waits. What the driver does with it is real: the trace is made and stored, and
the time that takes is what the fake clock counts for it. So a busy share below 1 means that one driver is enough, and
the batches that wait say how much memory that takes. Prints one JSON object.
"""

import argparse
import heapq
import json
import random
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from iterdeploy.record.store import TraceStore
from iterdeploy.types import Completion, Policy, Sampling, Task, Trace, Verdict

PROMPT = 1900
"""Tokens, as of the paper's Blocksworld tasks."""
VOCABULARY = 151_936
SAMPLING = Sampling(0.6, 30_000, "bfloat16")


@dataclass(frozen=True, slots=True)
class Found:
    samplers: int
    answers: int
    fake_seconds: float
    """Until the last answer was there."""
    answers_per_second: float
    """That the samplers give."""
    tokens_per_second: float
    stored_per_second: float
    """Answers that the driver makes and stores in a second of its own time."""
    busy: float
    """Share of the fake time in which the driver was at work."""
    most_waiting: int
    """Answers that were there and not stored yet."""
    bytes_per_answer: float
    store_bytes_per_second: float
    """While the samplers are at work."""
    peak_memory: int
    """Bytes, of the whole process."""


def simulate(folder: Path, samplers: int, answers: int, tokens: int, rate: float, batch: int, seed: int = 0) -> Found:
    """`rate`: tokens per second of one sampler, `tokens`: mean length of an answer, `batch`: answers stored at once."""
    chance = random.Random(seed)
    policy = Policy("simulated", 0, "model", None, False, None, None)
    store = TraceStore(folder / "traces.sqlite")
    free, spent, most, stored = 0.0, 0.0, 0, 0
    waiting: list[float] = []
    for now, number, length in arrivals(chance, samplers, answers // batch, tokens * batch, rate):
        tasks = [_task(number * batch + i) for i in range(batch)]
        said = [_said(max(2, length // batch), chance) for _ in tasks]
        began = time.perf_counter()
        traces = [_trace(task, policy, completion) for task, completion in zip(tasks, said, strict=True)]
        store.add({task.id: task for task in tasks}, traces, {})
        took = time.perf_counter() - began
        free, spent = max(free, now) + took, spent + took
        waiting = [end for end in waiting if end > now] + [free]
        most, stored, last = max(most, batch * len(waiting)), stored + batch, now
    store.close()
    size = sum(path.stat().st_size for path in folder.glob("traces.sqlite*"))
    per_second = samplers * rate / tokens
    return Found(
        samplers=samplers,
        answers=stored,
        fake_seconds=round(last, 1),
        answers_per_second=round(per_second, 2),
        tokens_per_second=samplers * rate,
        stored_per_second=round(stored / spent, 2),
        busy=round(per_second * spent / stored, 4),
        most_waiting=most,
        bytes_per_answer=round(size / stored),
        store_bytes_per_second=round(per_second * size / stored),
        peak_memory=1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
    )


def arrivals(
    chance: random.Random, samplers: int, batches: int, tokens: int, rate: float
) -> Iterator[tuple[float, int, int]]:
    """(fake time, number, tokens) of each batch, in the order in which they are there. Lengths vary by half."""

    def length() -> int:
        return round(tokens * chance.uniform(0.5, 1.5))

    # They are in the middle of something when we begin to look.
    going = [(chance.uniform(0, 1) * (size := length()) / rate, sampler, size) for sampler in range(samplers)]
    heapq.heapify(going)
    for number in range(batches):
        now, sampler, size = going[0]
        yield now, number, size
        following = length()
        heapq.heapreplace(going, (now + following / rate, sampler, following))


def _task(number: int) -> Task:
    return Task.make(
        domain="blocksworld", size=5, split="deployed", prompt=f"task {number}", payload={"number": str(number)}
    )


def _said(length: int, chance: random.Random) -> Completion:
    ids = [int(VOCABULARY * value * value) for value in (chance.random() for _ in range(length))]
    return Completion(
        text=" ".join(map(str, ids[: length * 2 // 3])),
        prompt_token_ids=tuple(range(PROMPT)),
        token_ids=tuple(ids),
        logprobs=tuple(-chance.random() for _ in ids),
        finish_reason="stop",
        reasoning_tokens=length - 1,
    )


def _trace(task: Task, policy: Policy, said: Completion) -> Trace:
    return Trace.make(
        task,
        generation=0,
        sample_index=0,
        policy_id=policy.id,
        sampling=SAMPLING,
        completions=[said],
        verdict=Verdict.invalid("simulated"),
        source="simulated",
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--samplers", type=int, default=1000)
    parser.add_argument("--answers", type=int, default=2000)
    parser.add_argument("--answer-tokens", type=int, default=15_000)
    parser.add_argument("--rate", type=float, default=1287.0, help="tokens per second of one sampler")
    parser.add_argument("--batch", type=int, default=16)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="iterdeploy-") as folder:
        found = simulate(
            Path(folder), options.samplers, options.answers, options.answer_tokens, options.rate, options.batch
        )
    json.dump(asdict(found), sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()
