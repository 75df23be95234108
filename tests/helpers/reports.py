"""Runs that no model made, with real records in a real store, and their page as a browser would see it."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from html.parser import HTMLParser
from itertools import product
from pathlib import Path
from typing import Any

from helpers.support import pool_of
from iterdeploy.config import RunConfig
from iterdeploy.metrics.coverage import coverage_of_splits
from iterdeploy.metrics.form import written
from iterdeploy.record.run_dir import RunDir
from iterdeploy.report import write_report
from iterdeploy.types import Completion, Sampling, Split, Status, Task, Trace, Verdict

DOMAINS = ("blocksworld",)


HOSTILE = (
    "\n</pre><script src='https://example.org/x.js'></script>\x1b[31m\x00&amp;\u202egnp.exe\u200b<img src=x onerror=y>"
)


def run_config(generations: int, description: str = "") -> RunConfig:
    values = {
        "description": description,
        "generations": generations,
        "model": {"name": "no-such-model"},
        "tasks": {"sizes": "3-6", "deployed": 40, "held_out": 40},
        "training": {"learning_rate": 5e-4},
    }
    return RunConfig.model_validate(values)


def task(split: Split, index: int, domain: str = "blocksworld") -> Task:
    return Task(
        f"{domain}-{split.value}-{index:04}", domain, 3 + index % 4, split, f"goal {index} ?", {"problem": "(define)"}
    )


def trace(one: Task, generation: int, status: Status, steps: int, answer: str) -> Trace:
    completion = Completion(answer, (5, 6), (7, 8, 9, 0), None, "stop", 2)
    reason = "" if status is Status.VALID else f"step {steps} (pick-up b{steps}): <{status}> & more"
    facts = {} if status is Status.UNPARSEABLE else {"plan_length": float(steps), "strict": 1.0}
    return Trace.make(
        one,
        generation=generation,
        sample_index=0,
        policy_id=f"policy-{generation}",
        sampling=Sampling(1.0, 64, "float32"),
        completions=[completion],
        verdict=Verdict(status, reason, 0.0, [["pick-up", "b1"]] * steps if facts else None, facts, "iterdeploy"),
        source="test",
    )


def generation_traces(
    generation: int, solved: int, tasks: int, splits: Sequence[Split], answer: str, domains: Sequence[str] = DOMAINS
) -> list[Trace]:
    """`solved` of the `tasks` of each split and domain are valid, all others invalid but one, which is unparseable."""
    out = []
    for split, domain, index in product(splits, domains, range(tasks)):
        failed = Status.UNPARSEABLE if index == tasks - 1 else Status.INVALID
        status = Status.VALID if index < solved else failed
        out.append(trace(task(split, index, domain), generation, status, 4 + index % (5 + 2 * generation), answer))
    return out


def make_run(
    path: Path,
    solved: Sequence[int],
    *,
    tasks: int = 40,
    generations: int | None = None,
    splits: Sequence[Split] = tuple(Split),
    answer: str = "a plan",
    description: str = "",
    domains: Sequence[str] = DOMAINS,
    **changes: Any,
) -> RunDir:
    """The folder of a run in which each generation of `solved` was measured; open, as it is while a run goes on."""
    config = run_config(len(solved) - 1 if generations is None else generations, description).model_copy(update=changes)
    run_dir = RunDir.open(path, config, ["iterdeploy", "run", "made up.toml"])
    everyone = {one.id: one for one in (task(*made) for made in product(splits, range(tasks), domains))}
    for generation, count in enumerate(solved):
        traces = generation_traces(generation, count, tasks, splits, answer, domains)
        run_dir.store.add(everyone, traces, {(generation, "sampling"): 12.5, (generation, "training"): 3.25})
        stage = run_dir.generation(generation)
        stage.json("metrics.json", lambda traces=traces: written(coverage_of_splits(traces)))
        if generation < config.generations:
            deployed = list(run_dir.store.traces(up_to=generation, split=Split.DEPLOYED))
            stage.json("curated.json", lambda deployed=deployed: asdict(pool_of(["valid", "best_per_task"], deployed)))
            report = {"first_loss": 0.5, "last_loss": 0.0625, "validation_loss": [0.75, 0.125], "examples": count}
            report |= {"steps": 20, "log": [{"loss": 0.5 / step} for step in range(1, 21)], "tokens": 640}
            stage.folder("policy", lambda out, report=report: (out / "training.json").write_text(json.dumps(report)))
    return run_dir


def report_of(path: Path, *arguments: Any, **options: Any) -> str:
    """The HTML of a run that no process holds."""
    make_run(path, *arguments, **options).close()
    run_dir = RunDir.read(path)
    html = write_report(run_dir).read_text(encoding="utf-8")
    run_dir.close()
    return html


class Reader(HTMLParser):
    """Every element and attribute as a browser would see them, and the words between."""

    VOID = ("meta", "br")

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.cells: list[list[str]] = []
        self.words: list[str] = []
        self.open: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in self.VOID:
            self.open.append(tag)
        if tag == "tr":
            self.cells.append([])
        if tag in ("td", "th"):
            self.cells[-1].append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)
        if {"td", "th"} & set(self.open):
            self.cells[-1][-1] += data

    @property
    def prose(self) -> str:
        return " ".join("".join(self.words).split())
