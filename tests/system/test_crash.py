"""A run that is killed at random moments and resumed ends as if nothing had happened.

The moments are drawn from a seed, which is printed; ITERDEPLOY_TEST_SEED sets it. Kills by the clock fall mostly into
sampling and training; test_kills.py places others at the calls to the file system.
"""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from helpers.killing import KILLED, Server
from helpers.support import TINY_ANSWERS, assert_refused, assert_whole, file_hashes, iterdeploy, run_facts, write_config
from iterdeploy.record import lock
from iterdeploy.record.files import read_json
from iterdeploy.record.run_dir import RunDir

pytestmark = pytest.mark.slow

SEED = int(os.environ.get("ITERDEPLOY_TEST_SEED") or random.SystemRandom().randrange(10**6))
KILLS = 10

Kill = Callable[[Server, list[object], random.Random], None]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with Server(tmp_path / "log") as started:
        yield started


def kill_and_resume(folder: Path, kills: int) -> list[Path]:
    """Runs, killed at drawn moments and called again, until there were `kills`; returns the finished runs."""
    draw = random.Random(SEED + 1)
    folder.mkdir()
    config = write_config(folder)
    runs: list[Path] = []
    killed = 0
    with Server(folder / "log") as server:
        kill = by_clock(server, config)
        while killed < kills:
            path = folder / "runs" / f"run-{len(runs)}"
            runs.append(path)
            status = KILLED
            while status == KILLED:
                known = (path / "config.toml").is_file()
                command = ["resume", path.name] if known else ["run", config, "--name", path.name]
                if killed < kills:
                    kill(server, [*command, "--runs-dir", path.parent], draw)
                    status = server.wait()
                    killed += status == KILLED
                else:
                    status = server.run(*command, "--runs-dir", path.parent)
                assert status in (0, KILLED), (folder / "log").read_text()
    assert "Traceback" not in (folder / "log").read_text()
    return runs


def by_clock(server: Server, config: Path) -> Kill:
    began = time.monotonic()
    assert server.run("run", config, "--name", "timed", "--runs-dir", config.parent / "timed") == 0
    whole = time.monotonic() - began

    def kill(server: Server, args: list[object], draw: random.Random) -> None:
        nonlocal whole
        pid, start = server.start(*args), time.monotonic()
        moment = draw.uniform(0, whole)
        with suppress(ProcessLookupError):  # it may end by itself: then the machine is faster now than it was
            while time.monotonic() < start + moment:
                os.kill(pid, 0)
                time.sleep(0.01)
            os.kill(pid, signal.SIGKILL)
            print(f"killed after {moment:.2f} s of {whole:.2f} s")
            return
        whole = min(whole, time.monotonic() - start)

    return kill


def test_killed_ten_times_at_random_moments_and_resumed_a_run_ends_the_same(finished: Path, tmp_path: Path) -> None:
    print(f"ITERDEPLOY_TEST_SEED={SEED}")
    expected = run_facts(finished)
    for path in kill_and_resume(tmp_path / "clock", KILLS):
        assert_whole(path)
        facts = run_facts(path)
        assert facts.keys() == expected.keys()
        assert [name for name in facts if facts[name] != expected[name]] == [], path
        calls = read_json(path / "provenance.json")["calls"]
        assert len(calls) >= 1
        opened = RunDir.read(path)
        assert opened.state().name == "complete"
        opened.close()


def test_fresh_processes_killed_three_times_end_the_same(finished: Path, tmp_path: Path) -> None:
    draw = random.Random(SEED + 3)
    print(f"ITERDEPLOY_TEST_SEED={SEED}")
    config, path = write_config(tmp_path), tmp_path / "runs" / "tiny"
    for _ in range(3):
        command = [sys.executable, "-m", "iterdeploy", "run", str(config), "--runs-dir", str(path.parent)]
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 120
        while not (path / "provenance.json").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(draw.uniform(0, 8))
        process.kill()
        process.wait()
    done = iterdeploy("resume", "tiny", "--runs-dir", path.parent)
    assert done.returncode == 0, done.stderr
    assert_whole(path)
    assert run_facts(path) == run_facts(finished)


@pytest.mark.parametrize("file", ["generation-0/metrics.json", "generation-0/curated.json", "generation-1/policy"])
def test_what_a_kill_leaves_next_to_its_place_is_swept_up(finished: Path, finished_copy: Path, file: str) -> None:
    """As if the process had died while it wrote that output: the unfinished one is there, the finished one is not."""
    target = finished_copy / file
    beside = target.with_name(f"unfinished-{target.name}")
    target.rename(beside)
    if beside.is_dir():
        (beside / "model.safetensors").write_bytes(b"half")
        (beside / "junk").write_text("junk")
    else:
        beside.write_text('{"half')
    done = iterdeploy("resume", "tiny", "--runs-dir", finished_copy.parent)
    assert done.returncode == 0, done.stderr
    assert_whole(finished_copy)
    assert run_facts(finished_copy) == run_facts(finished)


def wait_for_answers(path: Path, count: int) -> None:
    """Until the store of a run that goes on holds that many answers."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        done = iterdeploy("traces", path.name, "--json", "--runs-dir", path.parent)
        if len(done.stdout.splitlines()) >= count:
            return
        time.sleep(0.1)
    raise AssertionError("the run does not get anywhere")


def test_a_second_process_is_refused_and_a_killed_one_leaves_no_lock(server: Server, tmp_path: Path) -> None:
    config, path = write_config(tmp_path, {"generations": 100}), tmp_path / "runs" / "tiny"
    runs = ["--runs-dir", path.parent]
    pid = server.start("run", config, *runs)
    wait_for_answers(path, 1)
    status = iterdeploy("status", "tiny", "--json", *runs)
    assert '"state": "running"' in status.stdout and f'"pid": {pid}' in status.stdout
    for command in (["run", config], ["resume", "tiny"]):
        assert_refused(iterdeploy(*command, *runs), f"process {pid} ", str(path))
    assert len(read_json(path / "provenance.json")["calls"]) == 1
    os.kill(pid, 0)  # it goes on undisturbed

    os.kill(pid, signal.SIGKILL)
    assert server.wait() == KILLED
    assert '"state": "interrupted"' in iterdeploy("status", "tiny", "--json", *runs).stdout
    again = server.start("resume", "tiny", *runs)
    wait_for_answers(path, 2 * TINY_ANSWERS)
    os.kill(again, signal.SIGKILL)
    assert server.wait() == KILLED
    assert len(read_json(path / "provenance.json")["calls"]) == 2


def test_asking_for_the_status_over_and_over_disturbs_no_start(finished_copy: Path) -> None:
    refused = []

    def look(stop: list[bool]) -> None:
        while not stop:
            lock.holder(finished_copy)

    stop: list[bool] = []
    with ThreadPoolExecutor(1) as pool:
        looking = pool.submit(look, stop)
        for _ in range(200):
            try:
                os.close(lock.take(finished_copy))
            except ValueError as error:
                refused.append(error)
        stop.append(True)
        looking.result()
    assert not refused


def test_ctrl_c_ends_in_words_and_resuming_goes_on(server: Server, tmp_path: Path) -> None:
    config, path = write_config(tmp_path, {"generations": 100}), tmp_path / "runs" / "tiny"
    pid = server.start("run", config, "--runs-dir", path.parent)
    wait_for_answers(path, 1)
    os.kill(pid, signal.SIGINT)
    assert server.wait() == 130
    told = server.log.read_text()
    assert "Traceback" not in told and "iterdeploy resume" in told
    assert '"state": "interrupted"' in iterdeploy("status", "tiny", "--json", "--runs-dir", path.parent).stdout


def test_a_changed_configuration_is_refused_with_the_keys_and_nothing_is_overwritten(finished_copy: Path) -> None:
    before = file_hashes(finished_copy)
    config = write_config(finished_copy.parent, {"training.epochs": 3, "tasks.held_out": 8}, name="other")
    done = iterdeploy("run", config, "--name", "tiny", "--runs-dir", finished_copy.parent)
    assert_refused(done, "training.epochs: 1, now 3", "tasks.held_out: 6, now 8", str(finished_copy))
    assert "seed" not in done.stderr
    assert file_hashes(finished_copy) == before | {"lock": file_hashes(finished_copy)["lock"]}
