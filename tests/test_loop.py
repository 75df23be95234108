"""The whole loop: what a finished run holds, what it does when called again, and the states in which it stops."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from helpers.support import (
    TINY_ANSWERS,
    assert_whole,
    file_hashes,
    pool_of,
    run_facts,
    run_of,
    untrained_model,
    watched,
    write_config,
)
from iterdeploy.config_file import load_config
from iterdeploy.metrics.coverage import coverage_of_splits
from iterdeploy.models.loading import base_policy, model_folder
from iterdeploy.record.files import read_json
from iterdeploy.record.run_dir import RunDir
from iterdeploy.record.store import TraceStore
from iterdeploy.steps.stops import check_answers
from iterdeploy.training.trainer import read_policy
from iterdeploy.types import Split

Cli = Callable[..., Any]
Write = Callable[..., Path]


def status_of(run_cli: Cli, path: Path) -> dict[str, Any]:
    values: dict[str, Any] = json.loads(run_cli("status", path.name, "--json", "--runs-dir", path.parent).stdout)
    return values


def test_a_finished_run_is_whole(finished: Path) -> None:
    assert_whole(finished)
    assert (finished / "report.html").stat().st_size > 0
    assert not (finished / "stopped.json").exists()


def test_metrics_and_pools_are_those_of_the_stored_traces(finished: Path) -> None:
    run = RunDir.read(finished)
    config = run.config
    ratios = []
    for generation in range(3):
        stored = list(run.store.traces(generation=generation))
        assert len(stored) == TINY_ANSWERS
        measured = coverage_of_splits(stored)
        written = run.metrics()[generation]
        ratios += [found.cost_ratio for found in (written.deployed, written.held_out) if found and found.coverage]
        # diversity and drift need the earlier generations and the policy: see test_diversity
        assert replace(written, diversity={}, drift=None) == measured
        assert measured.deployed and measured.held_out
        assert measured.deployed.tasks == 12 and measured.held_out.tasks == 6
        pool = run.pool(generation)
        if generation == 2:
            assert pool is None, "nothing is curated after the last generation"
            continue
        so_far = [one for one in run.store.traces(up_to=generation) if one.split is Split.DEPLOYED]
        wanted = pool_of(config.curation.policies, so_far)
        assert pool is not None and pool == wanted
        origins = {one.id: one for one in run.store.traces()}
        assert all(origins[key].split is Split.DEPLOYED and origins[key].valid for key in pool.weights)
        assert all(origins[key].generation <= generation for key in pool.weights)
    assert ratios and None not in ratios, "what is solved has a cost to compare with the reference"
    run.close()


def test_every_generation_answers_with_the_policy_that_the_pool_before_it_trained(finished: Path) -> None:
    run = RunDir.read(finished)
    ids = []
    for generation in range(3):
        used = {one.policy_id for one in run.store.traces(generation=generation)}
        assert len(used) == 1
        ids += used
    assert len(set(ids)) == 3
    for generation in (1, 2):
        policy = read_policy(finished / f"generation-{generation - 1}" / "policy")
        pool = run.pool(generation - 1)
        assert pool is not None
        assert (policy.id, policy.generation, policy.curated_digest) == (ids[generation], generation, pool.digest)
        assert policy.parent_id == ids[0], "start_from = base"
    run.close()


def test_the_saved_configuration_is_the_resolved_one(finished: Path) -> None:
    written = load_config(finished / "config.toml")
    assert written.differences(load_config(write_config(finished.parent))) == []
    assert written.training.validation_share == 0.1, "defaults are written, too"


def test_provenance_tells_versions_and_commands(finished: Path) -> None:
    (call,) = read_json(finished / "provenance.json")["calls"]
    assert call["packages"]["torch"] and call["packages"]["transformers"]
    assert "run" in call["command"] and call["python"] and call["started"]


def spent(path: Path) -> dict[int, dict[str, float]]:
    store = TraceStore(path / "traces.sqlite", read_only=True)
    seconds = store.seconds()
    store.close()
    return seconds


@pytest.mark.parametrize("command", ["run", "resume"])
def test_calling_a_finished_run_again_does_nothing_and_loads_no_model(finished_copy: Path, command: str) -> None:
    before, seconds = file_hashes(finished_copy), spent(finished_copy)
    facts = run_facts(finished_copy)
    what = write_config(finished_copy.parent) if command == "run" else "tiny"
    done, packages = watched(command, what, "--runs-dir", finished_copy.parent)
    assert done.returncode == 0, done.stderr
    assert not packages & {"torch", "transformers", "peft"}
    assert run_facts(finished_copy) == facts
    changed = {name for name, digest in file_hashes(finished_copy).items() if before.get(name) != digest}
    assert changed <= {"lock", "provenance.json", "traces.sqlite", "report.html"}
    assert spent(finished_copy) == seconds, "looking at what is done takes no time of the run"
    assert "reasoning" not in done.stderr, "what was shown before is not shown again"
    assert len(read_json(finished_copy / "provenance.json")["calls"]) == 2


@pytest.mark.slow
def test_fresh_tasks_lora_and_previous_go_through_the_loop_resumable(
    run_cli: Cli, tiny_config: Write, tmp_path: Path
) -> None:
    """The other settings of training and tasks; the second generation is thrown away and made again."""
    config = tiny_config(
        {
            "tasks.fresh": True,
            "training.method": "lora",
            "training.start_from": "previous",
            "curation.policies": ["all", "at_most(1)"],
            "model.dtype": "bfloat16",
        }
    )
    run_cli("run", config, "--runs-dir", tmp_path)
    path = tmp_path / "tiny"
    run = RunDir.read(path)
    tasks = [{one.task_id for one in run.store.traces(generation=g, split=Split.DEPLOYED)} for g in range(3)]
    assert all(len(one) == 12 for one in tasks) and len(tasks[0] | tasks[1] | tasks[2]) > 24
    policies = [read_policy(path / f"generation-{g}" / "policy") for g in range(2)]
    assert policies[1].parent_id == policies[0].id and policies[1].adapter
    assert not (path / "generation-1" / "policy" / "model.safetensors").exists()
    facts = run_facts(path)
    run.close()
    shutil.rmtree(path / "generation-1" / "policy")
    run_cli("resume", "tiny", "--runs-dir", tmp_path)
    assert run_facts(path) == facts


@pytest.mark.slow
def test_a_run_without_held_out_tasks_or_later_generations_works(
    run_cli: Cli, tiny_config: Write, tmp_path: Path
) -> None:
    run_cli("run", tiny_config({"generations": 0, "tasks.held_out": 0}), "--runs-dir", tmp_path)
    status = status_of(run_cli, tmp_path / "tiny")
    assert status["state"] == "complete" and len(status["generations"]) == 1
    assert status["generations"][0]["held_out"] is None
    run_cli("status", "tiny", "--runs-dir", tmp_path)


@pytest.mark.slow
def test_nothing_valid_stops_the_run_in_a_named_state_with_counts_and_advice(
    run_cli: Cli, tiny_config: Write, tmp_path: Path
) -> None:
    """An untrained model solves nothing; the limit on truncated answers is off."""
    config = tiny_config({"model.name": str(untrained_model(tmp_path / "model")), "sampling.max_truncated": 1.0})
    for command in (("run", config), ("resume", "tiny")):
        done = run_cli(*command, "--runs-dir", tmp_path / "runs", check_exit=3)
        told = done.stderr.strip().splitlines()[-1]
        assert told.startswith("iterdeploy: stopped (no_traces_to_train_on): generation 0: ")
        assert "blocksworld: 30 answers" in told and "sampling.max_new_tokens" in told and "model.name" in told
        status = status_of(run_cli, tmp_path / "runs" / "tiny")
        assert status["state"] == "no_traces_to_train_on"
        assert sum(status["counts"]["blocksworld"].values()) == TINY_ANSWERS
        assert "valid" not in status["counts"]["blocksworld"]
        assert [one["generation"] for one in status["generations"]] == [0]
    assert "no_traces_to_train_on" in run_cli("status", "tiny", "--runs-dir", tmp_path / "runs").stdout
    assert not (tmp_path / "runs" / "tiny" / "generation-0" / "policy").exists()


@pytest.mark.slow
def test_too_many_truncated_answers_stop_the_run_before_it_trains(
    run_cli: Cli, tiny_config: Write, tmp_path: Path
) -> None:
    config = tiny_config({"sampling.max_new_tokens": 3})
    done = run_cli("run", config, "--runs-dir", tmp_path, check_exit=3)
    assert "stopped (too_many_truncated)" in done.stderr and "sampling.max_new_tokens = 3" in done.stderr
    status = status_of(run_cli, tmp_path / "tiny")
    assert status["state"] == "too_many_truncated"
    assert status["counts"] == {"blocksworld": {"truncated": TINY_ANSWERS}}
    assert len(list(RunDir.read(tmp_path / "tiny").store.traces())) == TINY_ANSWERS


def test_the_share_of_truncated_answers_is_compared_with_the_configured_one(finished: Path) -> None:
    """None of the finished run's answers is truncated, so that even a limit of 0 lets it go on."""
    run = RunDir.read(finished)
    assert "truncated" not in run.store.verdict_counts()[0]
    changed = run.config.model_copy(update={"sampling": run.config.sampling.model_copy(update={"max_truncated": 0.0})})
    check_answers(base_policy(model_folder(changed.model)), run_of(SimpleNamespace(config=changed), run.store))
    run.close()
