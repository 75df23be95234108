"""Several seeds of one configuration: a run for each, one after another, resumable as one."""

import json
from pathlib import Path

import pytest

from helpers.support import assert_refused, iterdeploy, write_config
from iterdeploy.config_file import load_config

pytestmark = pytest.mark.slow

SHORT = {"generations": 0, "tasks.deployed": 3, "tasks.held_out": 2, "sampling.samples": 1}


def test_each_seed_has_its_run_and_a_second_call_does_what_is_owed(tmp_path: Path) -> None:
    path = write_config(tmp_path, SHORT)
    one = iterdeploy("run", path, "--seeds", 1, "--name", "many", "--runs-dir", tmp_path)
    assert one.returncode == 0, one.stderr
    first = (tmp_path / "many-5" / "generation-0" / "metrics.json").stat().st_mtime_ns
    both = iterdeploy("run", path, "--seeds", 2, "--name", "many", "--runs-dir", tmp_path)
    assert both.returncode == 0, both.stderr
    assert f"iterdeploy compare many-5 many-6 --runs-dir {tmp_path}" in both.stdout
    assert (tmp_path / "many-5" / "generation-0" / "metrics.json").stat().st_mtime_ns == first
    status = iterdeploy("status", "many-6", "--json", "--runs-dir", tmp_path)
    assert json.loads(status.stdout)["state"] == "complete"
    assert [load_config(tmp_path / f"many-{seed}" / "config.toml").seed for seed in (5, 6)] == [5, 6]


def test_no_seeds_at_all_are_refused(tmp_path: Path) -> None:
    assert_refused(iterdeploy("run", write_config(tmp_path, SHORT), "--seeds", 0, "--runs-dir", tmp_path), "--seeds")
