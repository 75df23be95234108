"""Sampling in several processes: the same bits whatever their number, and one that is killed is reported."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from helpers.support import config_with, iterdeploy, run_facts, write_config
from iterdeploy.models.loading import base_policy, model_folder
from iterdeploy.planning.taskset import PlanningTasks
from iterdeploy.samplers import PromptBatch, processes
from iterdeploy.samplers.processes import ParallelSampler, SamplingError
from iterdeploy.types import Completion

TASKS = PlanningTasks(config_with({"tasks.sizes": "2-4", "tasks.held_out": 0}).tasks, 1).deployed(0)
ASKED = [PromptBatch([task.prompt for task in TASKS[i : i + 3]], seed=i) for i in range(0, len(TASKS), 3)]


def sampler(**settings: Any) -> ParallelSampler:
    config = config_with({"tasks.sizes": "2-4", "sampling.max_new_tokens": 60, **settings})
    return ParallelSampler(base_policy(model_folder(config.model)), config)


def answers(sampling: ParallelSampler) -> dict[int, list[Completion]]:
    with sampling:
        found = [(answered.index, answered.whole()) for answered in sampling.answers(ASKED)]
    assert len(found) == len(ASKED)
    return dict(found)


@pytest.mark.slow
def test_the_answers_are_the_same_bits_whatever_the_number_of_processes() -> None:
    alone = answers(sampler(**{"sampling.processes": 1}))
    assert answers(sampler(**{"sampling.processes": 2})) == alone


@pytest.mark.slow
def test_further_processes_are_started_once_enough_is_left_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[int] = []
    real = ParallelSampler._start

    def start(self: ParallelSampler, count: int) -> None:
        started.append(count)
        real(self, count)

    monkeypatch.setattr(ParallelSampler, "_start", start)
    monkeypatch.setattr(ParallelSampler, "_useful", 2)
    alone = answers(sampler())
    assert max(started) < 1
    monkeypatch.setattr(processes, "WORTH_IT", 0.0)
    assert answers(sampler()) == alone
    assert max(started) == 1


@pytest.mark.slow
def test_a_sampling_process_that_is_killed_ends_the_phase_in_words() -> None:
    with (
        sampler(**{"sampling.processes": 2}) as sampling,
        pytest.raises(SamplingError, match=r"exit status -9.*resume"),
    ):
        for _ in sampling.answers(ASKED):
            for other in sampling._others:
                os.kill(other._process.pid, signal.SIGKILL)


@pytest.mark.slow
def test_a_run_with_two_processes_ends_like_one_with_one_and_leaves_none_behind(finished: Path, tmp_path: Path) -> None:
    config, path = write_config(tmp_path, {"sampling.processes": 2}), tmp_path / "runs" / "tiny"
    process = subprocess.Popen([sys.executable, "-m", "iterdeploy", "run", str(config), "--runs-dir", str(path.parent)])
    deadline = time.monotonic() + 120
    while not (workers := children(process.pid)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert workers
    process.kill()
    process.wait()
    deadline = time.monotonic() + 60
    while any(map(alive, workers)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not any(map(alive, workers))
    done = iterdeploy("resume", "tiny", "--runs-dir", path.parent)
    assert done.returncode == 0, done.stderr
    assert made(path) == made(finished)


def made(folder: Path) -> dict[str, Any]:
    """Traces, weights and pools; files are sealed with their configuration, which differs."""
    facts = {name: value for name, value in run_facts(folder).items() if not name.endswith((".json", "SHA256SUMS"))}
    for path in folder.glob("generation-*/curated.json"):
        facts[path.parent.name] = {key: value for key, value in json.loads(path.read_text()).items() if key != "seal"}
    assert len(facts) > 5
    return facts


def children(parent: int) -> list[int]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes()
            if (
                b"samplers.worker" in command
                and int((folder / "stat").read_text().rpartition(")")[2].split()[1]) == parent
            ):
                found.append(int(folder.name))
        except (OSError, ValueError):
            continue
    return found


def alive(pid: int) -> bool:
    try:
        return (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
