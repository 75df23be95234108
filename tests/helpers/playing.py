"""Runs whose answers are known: real tasks, scripted and spoilt plans, judged by the real judge, in a real store.

And such a run served by `iterdeploy view` in a process of its own.
"""

import http.client
import json
import re
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from helpers.support import pool_of
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
from iterdeploy.types import Completion, Sampling, Split, Task, Trace

GENERATIONS = 3
SIZES = {"blocksworld": (4, 6), "sokoban": (6, 9), "ferry": (2, 3)}
"""Of the domains with a picture, and of one without."""


def config(generations: int = GENERATIONS - 1) -> RunConfig:
    values = {
        "generations": generations,
        "model": {"name": "no-such-model"},
        "tasks": {"sizes": "4", "deployed": 2, "held_out": 2},
        "training": {"learning_rate": 5e-4},
    }
    return RunConfig.model_validate(values)


def task(domain: str, size: int, split: Split, *, obfuscate: bool = False) -> Task:
    made = TasksConfig(sizes="4", deployed=1, held_out=1, obfuscate=obfuscate, references="none")
    text = DOMAINS[domain].generate(size, Rng("playing", domain, size, split), f"{domain}-{size}")
    return make_task(DOMAINS[domain].pddl, text, domain, size, split, made)


def tasks() -> list[Task]:
    return [task(domain, size, split) for domain, sizes in SIZES.items() for size in sizes for split in Split]


def plan_of(one: Task) -> list[tuple[str, ...]]:
    """The scripted planner's, which is valid."""
    return DOMAINS[one.domain].solve(Problem.parse(one.payload["problem"], Domain.parse(one.payload["domain"])))


def trace(one: Task, generation: int, text: str, *, index: int = 0, length: int = 5) -> Trace:
    """The answer with its real verdict; `length` tells answers apart, whose tokens nobody sampled."""
    said = Completion(text, (1, 2), (*range(length), generation, index), None, "stop", 3)
    return Trace.make(
        one,
        generation=generation,
        sample_index=index,
        policy_id=f"policy-{generation}",
        sampling=Sampling(1.0, 64, "float32"),
        completions=[said],
        verdict=Judge(ValidationConfig()).judge(one, [said]),
        source="test",
    )


def answers(asked: Sequence[Task], generation: int) -> list[Trace]:
    """Of each task a valid answer, one that breaks off (not in the last generation), and one that is no plan."""
    found = []
    for number, one in enumerate(asked):
        plan = plan_of(one)
        spoilt = plan[:2] + plan[3:] if generation == 0 else plan[:-1]
        said = answer([["hm"]], spoilt if number % 3 >= generation else plan)
        found.append(trace(one, generation, said))
        found.append(trace(one, generation, answer([["well"]], plan), index=1))
        if number == generation:
            found.append(trace(one, generation, "<think>\nno idea", index=2))
    return found


def add_generation(run_dir: RunDir, generation: int, asked: Sequence[Task], traces: Sequence[Trace]) -> None:
    """What the loop leaves of one generation."""
    run_dir.store.add({one.id: one for one in asked}, traces, {(generation, "sampling"): 1.5})
    finish_generation(run_dir, generation)


def finish_generation(run_dir: RunDir, generation: int) -> None:
    """What the loop makes of the traces that are stored: metrics, pool, training."""
    stage = run_dir.generation(generation)
    stage.json("metrics.json", lambda: written(coverage_of_splits(run_dir.store.traces(generation=generation))))
    if generation < run_dir.config.generations:
        deployed = list(run_dir.store.traces(up_to=generation, split=Split.DEPLOYED))
        stage.json("curated.json", lambda: asdict(pool_of(["valid", "best_per_task"], deployed)))
        report = {"first_loss": 0.5, "last_loss": 0.25, "validation_loss": [0.75, 0.125]}
        stage.folder("policy", lambda out: (out / "training.json").write_text(json.dumps(report)))


def make_run(path: Path, asked: Sequence[Task], by_generation: Mapping[int, Sequence[Trace]], **options: Any) -> None:
    """The folder of a run that no process holds."""
    run_dir = RunDir.open(path, config(**options), ["iterdeploy", "run", "made up.toml"])
    for generation, traces in by_generation.items():
        add_generation(run_dir, generation, asked, traces)
    run_dir.close()


def played_run(path: Path) -> None:
    asked = [*tasks(), task("blocksworld", 5, Split.DEPLOYED, obfuscate=True)]
    plain = asked[:-1]
    by_generation = {generation: answers(plain, generation) for generation in range(GENERATIONS)}
    by_generation[2].append(obfuscated_answer(asked[-1]))
    make_run(path, asked, by_generation)


def obfuscated_answer(one: Task) -> Trace:
    """A valid answer in the random names that the task was asked under."""
    random_names = {name: word for word, name in json.loads(one.payload["true_names"]).items()}
    plan = [tuple(random_names[word] for word in step) for step in plan_of(one)]
    return trace(one, 2, answer([["hm"]], plan))


SERVE = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell that starts tests in the background ignores it
from iterdeploy.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


class Served:
    """`iterdeploy view` as a process of its own."""

    def __init__(self, folder: Path, *options: str) -> None:
        command = [sys.executable, "-c", SERVE, "view", folder.name, "--runs-dir", str(folder.parent), "--port", "0"]
        self.process = subprocess.Popen([*command, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.told = self.process.stdout.readline()
        found = re.search(r"http://(\S+):(\d+)/", self.told)
        assert found, (self.told, self.process.communicate(timeout=10))
        self.host, self.port = found[1], int(found[2])

    def ask(
        self, path: str, method: str = "GET", host: str | None = None, body: bytes | None = None
    ) -> tuple[http.client.HTTPResponse, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        connection.request(method, path, body=body, headers={"Host": host} if host is not None else {})
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        return answer, content

    def json(self, path: str, **query: object) -> dict[str, Any]:
        answer, content = self.ask(f"{path}?{urlencode(query)}" if query else path)
        assert answer.status == 200, content
        return dict(json.loads(content))

    def end(self) -> str:
        self.process.send_signal(signal.SIGINT)
        return self.process.communicate(timeout=20)[1]
