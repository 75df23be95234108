"""A real Ray cluster of two nodes on this machine: the same bits as on one machine, whoever dies."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from helpers.support import assert_refused, assert_whole, iterdeploy, run_facts, write_config
from iterdeploy.record.store import TraceStore

pytest.importorskip("ray")
pytestmark = pytest.mark.slow

NODE = {"num_cpus": 1, "object_store_memory": 100 * 2**20}


class Nodes:
    """A cluster of this test's own, whose second node can be taken away. No node outlives it."""

    def __init__(self) -> None:
        from ray.cluster_utils import Cluster

        self._cluster = Cluster(initialize_head=True, head_node_args={**NODE, "include_dashboard": False})
        self._second = self.add()

    @property
    def address(self) -> str:
        return str(self._cluster.address)

    @property
    def overrides(self) -> dict[str, Any]:
        return {"cluster.engine": "ray", "cluster.address": self.address}

    def add(self) -> Any:
        """One that has room for training with 2 CPUs, which the head node has not."""
        return self._cluster.add_node(**{**NODE, "num_cpus": 2})

    def kill(self) -> None:
        """The second node, with all that runs there."""
        self._cluster.remove_node(self._second, allow_graceful=False)

    def close(self) -> None:
        self._cluster.shutdown()


@pytest.fixture
def nodes(monkeypatch: pytest.MonkeyPatch) -> Iterator[Nodes]:
    monkeypatch.setenv("RAY_worker_niceness", "0")  # else other tests would take the processor from it
    cluster = Nodes()
    yield cluster
    cluster.close()


def started(config: Path, runs: Path) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "iterdeploy", "run", str(config), "--runs-dir", str(runs)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def made(folder: Path) -> dict[str, Any]:
    """Traces, weights, metrics and pools. Files are sealed with their configuration, which differs, and batches are
    done in another order, so that the number of a trace's row, its first column, differs."""
    facts = {name: value for name, value in run_facts(folder).items() if not name.endswith((".json", "SHA256SUMS"))}
    facts["traces"] = [row[1:] for row in facts["traces"]]
    for name in ("curated.json", "metrics.json", "policy/policy.json", "policy/config.json", "policy/tokenizer.json"):
        for path in folder.glob(f"generation-*/{name}"):
            facts[f"{path.parent}/{name}".removeprefix(str(folder))] = {
                key: value for key, value in json.loads(path.read_text()).items() if key != "seal"
            }
    assert len(facts) > 7
    return facts


def until(there: Callable[[], object], seconds: float = 180) -> None:
    deadline = time.monotonic() + seconds
    while not there():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_a_run_on_two_nodes_ends_with_the_bits_of_one_on_this_machine(
    nodes: Nodes, finished: Path, tmp_path: Path
) -> None:
    config = write_config(tmp_path, nodes.overrides)
    done = iterdeploy("run", config, "--runs-dir", tmp_path / "runs")
    assert done.returncode == 0, done.stderr
    assert "raylet" not in done.stdout + done.stderr, "nothing that Ray says of itself"
    assert made(tmp_path / "runs" / "tiny") == made(finished)


def test_a_node_that_dies_while_it_samples_loses_and_doubles_nothing(
    nodes: Nodes, finished: Path, tmp_path: Path
) -> None:
    runs = tmp_path / "runs"
    run = started(write_config(tmp_path, nodes.overrides), runs)
    until(lambda: run.poll() is not None or answers(runs / "tiny"))
    nodes.kill()
    _, said = run.communicate(timeout=400)
    assert run.returncode == 0, said
    assert "was lost, and what it did is done again" in said
    assert_whole(runs / "tiny")
    assert made(runs / "tiny") == made(finished)


def test_a_node_that_dies_while_it_trains_costs_what_came_after_its_checkpoint(nodes: Nodes, tmp_path: Path) -> None:
    many = {"generations": 1, "training.epochs": 40, "training.checkpoint_minutes": 0.0}
    alone = iterdeploy("run", write_config(tmp_path, many, "alone"), "--runs-dir", tmp_path / "runs")
    assert alone.returncode == 0, alone.stderr
    config = write_config(
        tmp_path, {**many, **nodes.overrides, "cluster.cpus_for_training": 2.0, "cluster.samplers": 1}
    )
    run = started(config, tmp_path / "runs")
    unfinished = tmp_path / "runs" / "tiny" / "generation-0" / "unfinished-policy"
    until(lambda: run.poll() is not None or list(unfinished.glob("checkpoint-*")))
    nodes.add()
    nodes.kill()
    _, said = run.communicate(timeout=400)
    assert run.returncode == 0, said
    assert "was lost, and what it did is done again" in said
    assert made(tmp_path / "runs" / "tiny") == made(tmp_path / "runs" / "alone")


def test_what_a_cluster_has_no_room_for_is_refused_at_once_and_sigterm_ends_a_run_in_good_order(
    nodes: Nodes, tmp_path: Path
) -> None:
    runs = tmp_path / "runs"
    config = write_config(tmp_path, {**nodes.overrides, "cluster.samplers": 4, "cluster.gpus_per_sampler": 1.0})
    for dry in ([], ["--dry-run"]):
        done = iterdeploy("run", config, "--runs-dir", runs, *dry)
        assert_refused(done, "4 samplers with 1 CPU and 1 GPU each cannot be placed, but none", "1 node with 2 CPUs")
    assert not runs.exists()
    run = started(write_config(tmp_path, nodes.overrides), runs)
    until(lambda: run.poll() is not None or answers(runs / "tiny"))
    run.send_signal(signal.SIGTERM)
    _, said = run.communicate(timeout=120)
    assert run.returncode == 75, said


def answers(folder: Path) -> int:
    """Those that are stored."""
    if not (folder / "traces.sqlite").exists():
        return 0
    store = TraceStore(folder / "traces.sqlite", read_only=True)
    try:
        return sum(1 for _ in store.traces())
    finally:
        store.close()
