"""A run's folder from somebody else is data: what its configuration would execute needs --trust."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from helpers.support import config_with
from iterdeploy.cli.main import main
from iterdeploy.record.run_dir import RunDir, RunDirError
from iterdeploy.record.trust import trusted_config, what_it_would_execute

WITH_VAL = {"validation.validator": "val", "validation.val_path": "evil/val.sh"}


@pytest.mark.parametrize(
    ("overrides", "word"),
    [
        (WITH_VAL, "evil/val.sh"),
        ({"model.trust_remote_code": True}, "model.trust_remote_code"),
        ({"sampling.sampler": "vllm", "server.python": "evil/python"}, "evil/python"),
        ({"sampling.sampler": "vllm", "server.arguments": ["--middleware", "evil.f"]}, "--middleware evil.f"),
        (
            {"sampling.sampler": "openai", "server.address": "http://evil/v1", "server.key_variable": "AWS"},
            "key in AWS",
        ),
        ({"sampling.sampler": "openai", "server.address": "http://evil/v1"}, "key in ITERDEPLOY_API_KEY or OPENAI"),
    ],
)
def test_all_that_a_configuration_would_execute_is_named(overrides: dict[str, Any], word: str) -> None:
    (said,) = what_it_would_execute(config_with(overrides))
    assert word in said


def test_an_ordinary_configuration_executes_nothing_and_its_run_needs_no_mark(tmp_path: Path) -> None:
    config = config_with({"validation.val_path": "not/asked"})
    assert what_it_would_execute(config) == []
    RunDir.open(tmp_path / "a", config, []).close()
    assert not (tmp_path / "a" / "mark").exists()
    assert trusted_config(tmp_path / "a") == config


def as_another_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "other-state"))


def test_ones_own_run_goes_on_and_somebody_elses_needs_trust(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config, folder = config_with(WITH_VAL), tmp_path / "a"
    RunDir.open(folder, config, []).close()
    assert trusted_config(folder) == config
    moved = Path(shutil.copytree(folder, tmp_path / "elsewhere"))
    assert trusted_config(moved) == config, "it is the configuration that is marked, wherever it lies"

    as_another_user(tmp_path, monkeypatch)
    with pytest.raises(RunDirError, match=r"evil/val\.sh.*--trust"):
        trusted_config(folder)
    assert trusted_config(folder, trust=True) == config
    RunDir.open(folder, config, []).close()
    assert trusted_config(folder) == config, "trusted once, it is marked"


def test_a_mark_says_nothing_of_another_configuration(tmp_path: Path) -> None:
    for name, path in (("mine", "mine.sh"), ("evil", "evil.sh")):
        RunDir.open(tmp_path / name, config_with({**WITH_VAL, "validation.val_path": path}), []).close()
    shutil.copy(tmp_path / "mine" / "mark", tmp_path / "evil" / "mark")
    with pytest.raises(RunDirError, match=r"evil\.sh"):
        trusted_config(tmp_path / "evil")
    (tmp_path / "mine" / "mark").unlink()
    with pytest.raises(RunDirError, match=r"mine\.sh"):
        trusted_config(tmp_path / "mine")


@pytest.mark.parametrize("command", [["resume", "a"], ["theory", "a"], ["export", "a", "--generation=1", "--merge"]])
def test_nothing_of_a_foreign_folder_runs_without_trust(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    program = tmp_path / "val.sh"
    program.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    program.chmod(0o755)
    RunDir.open(tmp_path / "a", config_with({**WITH_VAL, "validation.val_path": str(program)}), []).close()
    as_another_user(tmp_path, monkeypatch)
    to = ["--to", str(tmp_path / "out")] if command[0] == "export" else []
    assert main([*command, *to, "--runs-dir", str(tmp_path)]) == 2
    assert str(program) in capsys.readouterr().err
    assert not (tmp_path / "ran").exists() and not (tmp_path / "out").exists()
    if command[0] == "resume":
        main([*command, "--trust", "--runs-dir", str(tmp_path)])
        assert (tmp_path / "ran").exists(), "the trap works"


def test_where_the_key_cannot_be_kept_a_run_is_made_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    config = config_with(WITH_VAL)
    RunDir.open(tmp_path / "a", config, []).close()
    with pytest.raises(RunDirError, match="--trust"):
        trusted_config(tmp_path / "a")
    assert trusted_config(tmp_path / "a", trust=True) == config


def test_the_key_is_this_users_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    as_another_user(tmp_path, monkeypatch)
    RunDir.open(tmp_path / "a", config_with(WITH_VAL), []).close()
    (key,) = (tmp_path / "other-state" / "iterdeploy").iterdir()
    assert key.stat().st_mode & 0o777 == 0o600 and len(key.read_bytes()) == 32
