"""How long the report takes, and how quickly `iterdeploy view` answers, on runs made up for it.

    python benchmarks/bench_report.py --report [--traces 10000] [--run RUN]
    python benchmarks/bench_report.py --view [--traces 1000000]
    python benchmarks/bench_report.py --make DIR --traces 1000000

A made-up run has six generations of Blocksworld tasks with 2 to 20 blocks, ten answers to each in each generation, and
the metrics and pools that the loop would have left. The texts and plans are those of a few hundred real answers, judged
by the real judge and repeated, so that sizes are honest; a million rows are then written in about a minute.

`--report` writes report.html and has Chromium (with Playwright, if both are there) say when it first paints. `--view`
asks a server in a process of its own for every kind of page and of data, one question after the other, cold and warm.
"""

import argparse
import json
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

from iterdeploy.config import RunConfig, TasksConfig, ValidationConfig
from iterdeploy.metrics.coverage import coverage_of_splits
from iterdeploy.metrics.form import written
from iterdeploy.pddl import Domain, Problem
from iterdeploy.planning.domains import DOMAINS
from iterdeploy.planning.judge import Judge
from iterdeploy.planning.make import make_task
from iterdeploy.planning.prompts import answer
from iterdeploy.planning.rng import Rng
from iterdeploy.record.run_dir import RunDir
from iterdeploy.record.store import TraceStore
from iterdeploy.types import Completion, Sampling, Split, Task, Trace, content_hash

GENERATIONS = 6
SAMPLES = 10
BLOCKS = range(2, 21)
PATTERNS = 200
"""Different answers, repeated."""
LIMIT = 0.3
"""Seconds that an answer of the view may take."""
CHROMIUM = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--report", action="store_true")
    what.add_argument("--view", action="store_true")
    what.add_argument("--make", type=Path, metavar="DIR", help="only make the run, in this folder")
    parser.add_argument("--traces", type=int, help="default: 10,000 for the report, 1,000,000 for the view")
    parser.add_argument("--run", type=Path, help="a run's folder, in place of a made-up one; its report is written")
    arguments = parser.parse_args()
    count = arguments.traces or (1_000_000 if arguments.view else 10_000)
    if arguments.make:
        make_run(arguments.make, count)
        return
    with tempfile.TemporaryDirectory() as folder:
        run = arguments.run or Path(folder) / "made-up"
        if not arguments.run:
            with timed(f"making a run of {count:,} traces"):
                make_run(run, count)
        (bench_view if arguments.view else bench_report)(run)


@contextmanager
def timed(what: str) -> Iterator[None]:
    began, busy = time.perf_counter(), time.process_time()
    yield
    print(f"{what:<44}{time.perf_counter() - began:>8.2f} s{time.process_time() - busy:>8.2f} s CPU", flush=True)


def bench_report(run: Path) -> None:
    from iterdeploy.report import write_report

    with timed("writing the report"):
        path = write_report(RunDir.read(run))
    print(f"{'its size':<44}{path.stat().st_size / 1e6:>8.2f} MB")
    paints = [first_paint(path.as_uri()) for _ in range(3)]
    print(f"{'first contentful paint, median of 3':<44}{statistics.median(paints):>8.2f} s")


def first_paint(url: str) -> float:
    """Seconds from the navigation's start, as Chromium itself measures them."""
    from playwright.sync_api import sync_playwright

    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=CHROMIUM.split())
        page = browser.new_page()
        page.goto(url)
        page.wait_for_selector(".traces li", timeout=60_000)
        paint = "performance.getEntriesByName('first-contentful-paint')[0].startTime"
        milliseconds = float(page.evaluate(paint))
        browser.close()
    return milliseconds / 1000


def bench_view(run: Path) -> None:
    command = [sys.executable, "-m", "iterdeploy", "view", run.name, "--runs-dir", str(run.parent), "--port", "0"]
    with timed("until the server answers"):
        server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert server.stdout is not None
        address = server.stdout.readline().split()[0]
    try:
        worst = max(asked(address + path) for path in questions(address))
    finally:
        server.terminate()
        server.wait()
    print(f"{'the slowest answer':<44}{worst * 1000:>8.0f} ms, of {LIMIT * 1000:.0f} ms that it may take")
    sys.exit(worst > LIMIT)


def questions(address: str) -> list[str]:
    """One of every kind: pages from the beginning, the middle and the end, few and many traces that pass."""

    def traces(query: str) -> dict[str, object]:
        return dict(json.loads(urlopen(f"{address}api/traces?{query}").read()))

    everything = traces("limit=1")
    middle = int(str(everything["total"])) // 2
    first = str(traces("limit=1")["traces"][0]["id"])  # type: ignore[index]
    return [
        "",
        "api/state",
        "api/traces",
        f"api/traces?after={middle}",
        f"api/traces?after={2 * middle - 10}",
        "api/traces?generation=5&verdict=invalid",
        f"api/traces?generation=3&verdict=valid&size=7&after={middle}",
        "api/traces?split=held_out&limit=200",
        "api/traces?pool=5",
        "api/traces?pool=2&size=20",
        "api/traces?domain=nothing",
        f"api/trace/{first}",
    ]


def asked(url: str) -> float:
    """The slowest of five answers, the first of which may be cold."""
    seconds = []
    for _ in range(5):
        began = time.perf_counter()
        urlopen(url).read()
        seconds.append(time.perf_counter() - began)
    name = "/" + url.split("/", 3)[3]
    print(f"{name:<52}{seconds[0] * 1000:>7.0f} ms cold{statistics.median(seconds) * 1000:>7.0f} ms median")
    return max(seconds)


def make_run(path: Path, count: int) -> None:
    """The folder of a complete run with about so many traces; made again only if it is not there."""
    if path.exists():
        return
    values = {
        "generations": GENERATIONS - 1,
        "model": {"name": "made-up"},
        "tasks": {"sizes": "2-20", "deployed": 1, "held_out": 1},
        "training": {"learning_rate": 5e-4},
    }
    RunDir.open(path, RunConfig.model_validate(values), ["benchmark"]).close()
    tasks = [make_one_task(index) for index in range(PATTERNS)]
    patterns = [Pattern(task, index) for index, task in enumerate(tasks)]
    every = max(1, count // (GENERATIONS * SAMPLES))
    sql = sqlite3.connect(path / "traces.sqlite")
    sql.execute("PRAGMA synchronous = OFF")
    with sql:
        sql.executemany("INSERT INTO tasks VALUES (?, ?, ?, ?, ?, ?)", (task_row(tasks, i) for i in range(every)))
    for generation in range(GENERATIONS):
        with sql:
            rows = (patterns[i % PATTERNS].row(i, generation, k) for i in range(every) for k in range(SAMPLES))
            sql.executemany(f"INSERT INTO traces VALUES ({', '.join('?' * len(patterns[0].columns))})", rows)
            calls = (patterns[i % PATTERNS].call(i, generation, k) for i in range(every) for k in range(SAMPLES))
            sql.executemany(f"INSERT INTO calls VALUES ({', '.join('?' * len(patterns[0].calls))})", calls)
    sql.close()
    run_dir = RunDir.read(path)
    metrics = written(coverage_of_splits(pattern.trace for pattern in patterns))
    for generation in range(GENERATIONS):
        stage = run_dir.generation(generation)
        stage.json("metrics.json", lambda number=generation: {**metrics, "generation": number})
        if generation < GENERATIONS - 1:
            pool = {trace_id(i, 0, 0): 1.0 for i in range(every) if patterns[i % PATTERNS].trace.valid and i % 2 == 0}
            content = {"weights": pool, "by_generation": {"0": len(pool)}, "digest": content_hash(generation)}
            stage.json("curated.json", lambda content=content: content)
    run_dir.close()


def trace_id(task: int, generation: int, sample: int) -> str:
    return content_hash("made up", task, generation, sample)


def make_one_task(index: int) -> Task:
    config = TasksConfig(sizes="4", deployed=1, held_out=1, references="none")
    size = BLOCKS[index % len(BLOCKS)]
    text = DOMAINS["blocksworld"].generate(size, Rng("bench", index), f"bench-{index}")
    split = Split.DEPLOYED if index % 2 == 0 else Split.HELD_OUT
    return make_task(DOMAINS["blocksworld"].pddl, text, "blocksworld", size, split, config)


def task_row(tasks: list[Task], index: int) -> tuple[object, ...]:
    task = tasks[index % PATTERNS]
    return (
        content_hash("task", index),
        task.domain,
        task.size,
        task.split,
        task.prompt,
        json.dumps(dict(task.payload)),
    )


class Pattern:
    """One real answer with its verdict, as the columns of a row of which only the names change."""

    def __init__(self, task: Task, index: int) -> None:
        plan = DOMAINS["blocksworld"].solve(
            Problem.parse(task.payload["problem"], Domain.parse(task.payload["domain"]))
        )
        spoilt = {0: plan, 1: plan, 2: plan[:-1], 3: plan[:1] + plan[2:]}[index % 4]
        text = "<think>\nno idea" if index % 17 == 0 else answer([["hm"]], spoilt)
        tokens = len(text) // 4
        said = Completion(text, tuple(range(60)), tuple(range(tokens)), (-0.25,) * tokens, "stop", 3)
        verdict = Judge(ValidationConfig()).judge(task, [said])
        self.trace = Trace.make(
            task,
            generation=0,
            sample_index=0,
            policy_id="policy",
            sampling=Sampling(1.0, 64, "float32"),
            completions=[said],
            verdict=verdict,
            source="benchmark",
        )
        with tempfile.TemporaryDirectory() as folder:
            store = TraceStore(Path(folder) / "one.sqlite")
            store.add({task.id: task}, [self.trace], {})
            store.close()
            sql = sqlite3.connect(Path(folder) / "one.sqlite")
            self.columns = sql.execute("SELECT * FROM traces").fetchone()
            self.calls = sql.execute("SELECT * FROM calls").fetchone()
            sql.close()

    def row(self, task: int, generation: int, sample: int) -> tuple[object, ...]:
        names = (None, trace_id(task, generation, sample), content_hash("task", task), generation, sample)
        return (*names, *self.columns[5:])

    def call(self, task: int, generation: int, sample: int) -> tuple[object, ...]:
        return (trace_id(task, generation, sample), *self.calls[1:])


if __name__ == "__main__":
    main()
