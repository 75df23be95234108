"""Each domain goes through the whole loop, with the configuration that the package carries for it."""

from pathlib import Path

import pytest

from iterdeploy.config_file import find_config, load_config
from iterdeploy.console.progress import Display
from iterdeploy.loop import run_loop
from iterdeploy.pddl import Domain, Problem
from iterdeploy.planning import prompts
from iterdeploy.planning.domains import DOMAINS
from iterdeploy.record.run_dir import RunDir
from iterdeploy.steps.components import Components, assemble
from iterdeploy.steps.run import Run
from iterdeploy.types import Completion, Status, Task

pytestmark = pytest.mark.slow

SMOKE = find_config("domains-smoke")


def assembled(*overrides: str) -> Components:
    return assemble(load_config(SMOKE, ["model.threads=1", "sampling.max_new_tokens=16", *overrides]))


def test_the_configuration_asks_for_every_domain() -> None:
    config = load_config(SMOKE)
    assert sorted(config.tasks.domains) == sorted(DOMAINS) and config.generations == 2
    tasks = assembled().tasks
    assert {task.domain for task in tasks.deployed(0)} == {task.domain for task in tasks.held_out} == set(DOMAINS)


@pytest.mark.parametrize("name", sorted(DOMAINS))
def test_two_generations(name: str, tmp_path: Path) -> None:
    parts = assembled(f'tasks.domains=["{name}"]')
    run_dir = RunDir.open(tmp_path / name, parts.config, ["test"])
    run_loop(Run(run_dir, parts, Display()))
    traces = list(run_dir.store.traces())
    assert len(traces) == 3 * 3 and {trace.generation for trace in traces} == {0, 1, 2}
    assert {trace.domain for trace in traces} == {name}
    assert len({trace.policy_id for trace in traces}) == 3
    assert all(trace.verdict.status is not Status.ERROR for trace in traces)
    assert [metrics.deployed and metrics.deployed.tasks for metrics in run_dir.metrics()] == [2, 2, 2]
    assert [len(pool.weights) for generation in (0, 1) if (pool := run_dir.pool(generation))] == [2, 4]
    for task in run_dir.store.tasks():
        reference_is_valid(parts, task)
    run_dir.close()


def reference_is_valid(parts: Components, task: Task) -> None:
    """A trace can be judged from what the store holds of its task; the scripted plan is valid and costs as stated."""
    problem = Problem.parse(task.payload["problem"], Domain.parse(task.payload["domain"]))
    text = prompts.answer([["hm"]], DOMAINS[task.domain].solve(problem))
    verdict = parts.tasks.judge(task, [Completion(text, (1,), (2, 0), None, "stop", 2)])
    assert verdict.status is Status.VALID and verdict.facts["strict"] == verdict.facts["cost_ratio"] == 1
    assert verdict.facts["cost"] == float(task.payload["reference_cost"])
