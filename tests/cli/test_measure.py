"""Held-out tasks at other temperatures, during a run and after it: measured, and seen by nothing that trains."""

import io
import json
import shutil
import sqlite3
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import pytest

from helpers.killing import KILLED, Fault, Server, compiled_faults
from helpers.support import assert_refused, config_with, iterdeploy, watched, write_config
from iterdeploy.cli.main import main
from iterdeploy.planning.taskset import PlanningTasks
from iterdeploy.record import lock
from iterdeploy.record.run_dir import RunDir

pytestmark = pytest.mark.slow

HELD_OUT = 6
OTHERS = {"evaluation.temperatures": [0.0, 0.6], "evaluation.samples": 2}


def call(*args: object) -> str:
    """What `iterdeploy ARGS`, in this process, prints."""
    out = io.StringIO()
    with redirect_stdout(out):
        assert main([str(arg) for arg in args]) == 0
    return out.getvalue()


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`plain`, and `measured` at two more temperatures: one configuration otherwise."""
    folder = tmp_path_factory.mktemp("measuring")
    for name, overrides in (("plain", {}), ("measured", OTHERS)):
        config = write_config(folder, {"generations": 1, "tasks.sizes": "2-4", **overrides}, name)
        assert call("run", config, "--runs-dir", folder / "runs")
    return folder / "runs"


@pytest.fixture
def mine(runs: Path, tmp_path: Path) -> Path:
    """A copy of `plain` to measure."""
    shutil.copytree(runs / "plain", tmp_path / "runs" / "plain")
    return tmp_path / "runs"


def rows(run: Path, query: str) -> list[Any]:
    sql = sqlite3.connect(run / "traces.sqlite")
    try:
        return sql.execute(query).fetchall()
    finally:
        sql.close()


ALL = """SELECT task_id, generation, temperature, sample_index, policy_id, status, text FROM measurements
    ORDER BY 1, 2, 3, 4"""


def measure(runs: Path, *options: object) -> list[dict[str, Any]]:
    return list(json.loads(call("measure", "plain", "--runs-dir", runs, "--json", *options))["generations"])


def test_the_loop_is_the_same_with_and_without_measurements(runs: Path) -> None:
    plain, measured = RunDir.read(runs / "plain"), RunDir.read(runs / "measured")
    assert [trace.id for trace in plain.store.traces()] == [trace.id for trace in measured.store.traces()]
    assert plain.pool(0) == measured.pool(0) is not None
    assert plain.metrics()[1].drift == measured.metrics()[1].drift
    counted = "SELECT generation, temperature, count(*) FROM measurements GROUP BY 1, 2"
    assert rows(runs / "plain", counted) == []
    assert rows(runs / "measured", counted) == [
        (generation, temperature, HELD_OUT * samples) for generation in (0, 1) for temperature, samples in
        ((0.0, 1), (0.6, 2))
    ]  # fmt: skip


def test_status_has_each_temperature(runs: Path) -> None:
    first, last = json.loads(call("status", "measured", "--runs-dir", runs, "--json"))["generations"]
    assert [one["temperature"] for one in last["temperatures"]] == [0.0, 0.6, 1.0]
    assert [one["samples"] for one in last["temperatures"]] == [1, 2, 1]
    for one in last["temperatures"]:
        assert one["frontier"].keys() >= {"size", "coverage", "interval"}
        assert one["paired"].keys() >= {"gained", "lost", "difference", "interval", "p"}
        assert one["paired"]["tasks"] == HELD_OUT
    assert [one["paired"] for one in first["temperatures"]] == [None] * 3
    assert last["frontier"] == last["temperatures"][2]["frontier"]
    greedy = first["temperatures"][0]
    valid = rows(runs / "measured", "SELECT count(*) FROM measurements WHERE temperature = 0 AND generation = 0 "
                                    "AND status = 'valid'")  # fmt: skip
    assert greedy["coverage"] == pytest.approx(valid[0][0] / HELD_OUT)
    assert "Held-out tasks, by temperature" in call("status", "measured", "--runs-dir", runs, "--wide")


@pytest.mark.slow
def test_measuring_later_gives_what_measuring_at_once_would_have(mine: Path, runs: Path) -> None:
    before = rows(mine / "plain", "SELECT * FROM traces ORDER BY row")
    files = {path: path.read_bytes() for path in (mine / "plain").rglob("*.json*")}
    measure(mine, "--temperature", "0")
    measure(mine, "--temperature", "0.6", "--samples", 2)
    assert rows(mine / "plain", ALL) == rows(runs / "measured", ALL)
    assert rows(mine / "plain", "SELECT * FROM traces ORDER BY row") == before
    assert all(path.read_bytes() == content for path, content in files.items())


def test_only_what_is_missing_is_sampled(mine: Path) -> None:
    measure(mine, "--temperature", "0.6", "--generation", 1)
    few = rows(mine / "plain", ALL)
    assert len(few) == HELD_OUT
    first, last = measure(mine, "--temperature", "0.6", "--samples", 3, "--generation", 1)
    assert [one["samples"] for one in last["temperatures"]] == [3, 1] and len(first["temperatures"]) == 1
    more = rows(mine / "plain", ALL)
    assert len(more) == 3 * HELD_OUT and set(few) < set(more)
    again, packages = watched("measure", "plain", "--runs-dir", mine, "--temperature", "0.6", "--samples", "3",
                              "--generation", "1")  # fmt: skip
    assert again.returncode == 0 and "any of them" in again.stdout
    assert "torch" not in packages
    assert rows(mine / "plain", ALL) == more


def test_at_the_temperature_of_the_loop_its_own_answers_count(mine: Path) -> None:
    first, _ = measure(mine, "--temperature", "1", "--samples", 3)
    assert [one["samples"] for one in first["temperatures"]] == [3]
    assert list(first["temperatures"][0]["pass_at_k"]) == ["1", "2", "3"]
    assert len(rows(mine / "plain", ALL)) == 2 * 2 * HELD_OUT


@pytest.mark.slow
def test_killed_anywhere_it_ends_with_the_same_measurements(mine: Path, tmp_path: Path) -> None:
    shutil.copytree(mine / "plain", tmp_path / "whole" / "plain")
    options = ("--temperature", "0.6", "--samples", "2")
    with Server(tmp_path / "log", compiled_faults(tmp_path)) as server:
        whole = tmp_path / "whole"
        assert server.run("measure", "plain", "--runs-dir", whole, *options, fault=Fault(whole)) == 0
        moments = len(server.moments())
        for moment in (moments // 3, moments // 2):
            assert server.run("measure", "plain", "--runs-dir", mine, *options, fault=Fault(mine, moment)) == KILLED
        assert len(rows(mine / "plain", ALL)) < 4 * HELD_OUT
        assert server.run("measure", "plain", "--runs-dir", mine, *options) == 0
    assert rows(mine / "plain", ALL) == rows(tmp_path / "whole" / "plain", ALL)


TASKS = """
from iterdeploy import Task, Verdict


class Letters:
    def __init__(self, options, seed):
        self.held_out = [self.task("held_out", i) for i in range(3)]

    def task(self, split, index):
        return Task.make(domain="letters", size=1 + index, split=split, prompt=PROMPT)

    def deployed(self, generation):
        return [self.task("deployed", i) for i in range(4)]

    def judge(self, task, completions):
        return Verdict.valid() if task.size < 3 else Verdict.invalid("too large")
"""


@pytest.mark.slow
def test_a_task_set_of_ones_own(tmp_path: Path) -> None:
    (prompt,) = [task.prompt for task in PlanningTasks(config_with({"tasks.deployed": 1}).tasks, 0).deployed(0)]
    (tmp_path / "letters.py").write_text(f"PROMPT = {prompt!r}\n{TASKS}")
    tasks = {"tasks.kind": f"{tmp_path / 'letters.py'}:Letters", "tasks.sizes": None, "tasks.deployed": None}
    config = write_config(tmp_path, {**tasks, "tasks.held_out": None, "generations": 0}, "plain")  # fmt: skip
    call("run", config, "--runs-dir", tmp_path / "runs")
    (only,) = measure(tmp_path / "runs", "--temperature", "0.5", "--samples", "2")
    half = only["temperatures"][0]
    assert half["temperature"] == 0.5 and half["samples"] == 2 and half["coverage"] == pytest.approx(2 / 3)
    assert half["frontier"]["size"] == 2


@pytest.mark.slow
def test_tasks_of_ones_own_pddl_files(tmp_path: Path) -> None:
    call("tasks", "make", "blocksworld", "--count", 6, "--size", "2", "--out", tmp_path / "tasks")
    files = {"tasks.domain_file": str(tmp_path / "tasks" / "domain.pddl"),
             "tasks.problem_files": str(tmp_path / "tasks" / "p*.pddl"), "tasks.held_out_share": 0.5}  # fmt: skip
    config = write_config(tmp_path, {"tasks.kind": "pddl", "tasks.sizes": None, "tasks.deployed": None,
                                     "tasks.held_out": None, "generations": 0, **files}, "plain")  # fmt: skip
    call("run", config, "--runs-dir", tmp_path / "runs")
    (only,) = measure(tmp_path / "runs", "--temperature", "0")
    assert [one["tasks"] for one in only["temperatures"]] == [3, 3]
    assert only["temperatures"][0]["coverage"] == 1


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--temperature", "0", "--samples", "2"), ("--samples 2", "temperature 0", "leave --samples out")),
        (("--temperature", "0.001"), ("--temperature", "0.01 to 100")),
        (("--temperature", "-1"), ("--temperature",)),
        (("--temperature", "0", "--generation", "7"), ("--generation 7", "0 to 1")),
        ((), ("--temperature",)),
    ],
)
def test_what_cannot_be_measured(mine: Path, options: Sequence[str], words: Sequence[str]) -> None:
    assert_refused(iterdeploy("measure", "plain", "--runs-dir", mine, *options), *words)
    assert rows(mine / "plain", ALL) == []


@pytest.mark.slow
def test_without_held_out_tasks(tmp_path: Path) -> None:
    config = write_config(tmp_path, {"generations": 0, "tasks.held_out": 0}, "none")
    call("run", config, "--runs-dir", tmp_path)
    done = iterdeploy("measure", "none", "--runs-dir", tmp_path, "--temperature", "0")
    assert_refused(done, "no held-out tasks", "tasks.held_out")


def test_a_run_that_another_process_works_on(mine: Path) -> None:
    locked = RunDir(mine / "plain", RunDir.read(mine / "plain").store, RunDir.read(mine / "plain").files,
                    lock.take(mine / "plain"))  # fmt: skip
    done = iterdeploy("measure", "plain", "--runs-dir", mine, "--temperature", "0")
    locked.close()
    assert_refused(done, "is working on this run")


@pytest.mark.slow
def test_weights_that_were_changed_are_not_measured(mine: Path) -> None:
    weights = next((mine / "plain" / "generation-0" / "policy").glob("*.safetensors"))
    weights.write_bytes(weights.read_bytes()[:-8] + b"\0" * 8)
    done = iterdeploy("measure", "plain", "--runs-dir", mine, "--temperature", "0", "--generation", "1")
    assert_refused(done, weights.name)
    assert rows(mine / "plain", ALL) == []


def test_a_store_from_before_there_were_measurements(mine: Path) -> None:
    sql = sqlite3.connect(mine / "plain" / "traces.sqlite")
    sql.executescript("DROP TABLE measurements; UPDATE meta SET value = '2' WHERE key = 'schema'")
    for table in ("tasks", "traces", "calls", "feedback"):
        sql.execute(f"ALTER TABLE {table} DROP COLUMN seal")
    sql.close()
    before = json.loads(call("status", "plain", "--runs-dir", mine, "--json"))
    assert len(before["generations"][0]["temperatures"]) == 1
    first, _ = measure(mine, "--temperature", "0")
    assert [one["temperature"] for one in first["temperatures"]] == [0.0, 1.0]
