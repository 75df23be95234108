"""Memory and time of everything that counts and chooses, on the traces of a large run.

    python benchmarks/bench_light_rows.py [--traces 15000] [--tokens 15000]

By default 15,000 answers of 15,000 tokens in five generations, three to each task. The store is made in a temporary
folder (about 2 GB) and read by a process of its own, which curates the last pool, measures the last generation, and
observes all traces as the audit does. Exit status 1 where that takes more than 1 GB or 20 s.
"""

import argparse
import random
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from iterdeploy.audit import observe_run
from iterdeploy.curation.named import find_policies
from iterdeploy.curation.policies import compose, make_pool, weigh
from iterdeploy.metrics.coverage import coverage_of_splits
from iterdeploy.metrics.diversity import diversity
from iterdeploy.planning.judge import shorter_plan
from iterdeploy.record.store import TraceStore
from iterdeploy.types import Completion, Sampling, Split, Task, Trace, Verdict, content_hash

GENERATIONS, SAMPLES = 5, 3
PATTERNS = 16
"""Different answers; to pack them takes most of the time that the store takes to be made."""
POLICIES = ("valid", "best_per_task")
MOST_BYTES, MOST_SECONDS = 1e9, 20.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--traces", type=int, default=15_000)
    parser.add_argument("--tokens", type=int, default=15_000)
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        return measure(arguments.measure)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "traces.sqlite"
        make_store(path, arguments.traces // (GENERATIONS * SAMPLES), arguments.tokens)
        print(f"{path.stat().st_size / 1e9:.2f} GB of traces")
        return subprocess.run([sys.executable, __file__, "--measure", str(path)]).returncode


def make_store(path: Path, tasks: int, tokens: int) -> None:
    store = TraceStore(path)
    patterns = [make_pattern(pattern, tokens) for pattern in range(PATTERNS)]
    for index in range(tasks):
        split = Split.HELD_OUT if index % 3 == 0 else Split.DEPLOYED
        task = Task.make(domain="blocksworld", size=2 + index % 19, split=split, prompt=f"task {index}")
        traces = [
            make_trace(patterns[(index + generation + sample) % PATTERNS], task, generation, sample)
            for generation in range(GENERATIONS)
            for sample in range(SAMPLES)
        ]
        store.add({task.id: task}, traces, {})
    store.close()


def make_pattern(number: int, tokens: int) -> Trace:
    draw = random.Random(number)
    ids = tuple(draw.randrange(150_000) for _ in range(tokens))
    logprobs = tuple(-draw.random() for _ in range(tokens))
    completion = Completion(f"answer {number} " * (tokens // 2), ids[:500], ids, logprobs, "stop", max(0, tokens - 100))
    return Trace.make(
        Task.make(domain="blocksworld", size=2, split=Split.DEPLOYED, prompt=""),
        generation=0,
        sample_index=0,
        policy_id="policy",
        sampling=Sampling(1.0, 32_768, "bfloat16"),
        completions=[completion],
        verdict=Verdict.invalid(""),
        source="made up",
    )


def make_trace(pattern: Trace, task: Task, generation: int, sample: int) -> Trace:
    """The pattern's answer as one to that task, judged at random."""
    identifier = content_hash(task.id, generation, sample)
    draw = random.Random(identifier)
    plan = [["stack", f"b{step}", f"b{step + 1}"] for step in range(draw.randrange(4, 80))]
    facts = {"plan_length": float(len(plan)), "strict": 1.0}
    valid = draw.random() < 0.4
    return replace(
        pattern,
        id=identifier,
        task_id=task.id,
        size=task.size,
        split=task.split,
        generation=generation,
        sample_index=sample,
        verdict=Verdict.valid(plan, facts=facts) if valid else Verdict.invalid("step 1: no", plan, facts=facts),
    )


def measure(path: Path) -> int:
    store = TraceStore(path, read_only=True)
    last = GENERATIONS - 1

    def curate() -> None:
        make_pool(compose(find_policies(POLICIES)), weigh(store.traces(up_to=last, split=Split.DEPLOYED), shorter_plan))

    def metrics() -> None:
        answers = list(store.traces(generation=last))
        coverage_of_splits(answers)
        for split in Split:
            diversity([trace for trace in answers if trace.split is split], store.outcomes(split, last), ())

    def audit() -> None:
        observe_run(store.traces(), POLICIES, {})

    began = time.perf_counter()
    for step in (curate, metrics, store.verdict_counts, audit):
        timed(step)
    seconds = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(f"together {seconds:.1f} s, at most {peak / 1e6:,.0f} MB of memory")
    return int(peak > MOST_BYTES or seconds > MOST_SECONDS)


def timed(step: Callable[[], object]) -> None:
    began = time.perf_counter()
    step()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{step.__name__:<16}{time.perf_counter() - began:>7.1f} s{peak:>9,.0f} MB so far")


if __name__ == "__main__":
    sys.exit(main())
