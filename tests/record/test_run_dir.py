"""The run's folder: outputs that are finished once they exist, the lock, the state."""

import fcntl
import os
from pathlib import Path
from typing import Any

import pytest

from helpers.support import config_with
from iterdeploy.record.files import read_json, write_text
from iterdeploy.record.outputs import State
from iterdeploy.record.run_dir import RunDir, RunDirError, Stage


class Interrupted(Exception):
    pass


def test_a_finished_json_file_is_never_made_again(tmp_path: Path) -> None:
    stage = Stage(tmp_path / "generation-0")
    assert stage.json("a.json", lambda: {"x": 1}) == {"x": 1}
    assert stage.json("a.json", lambda: pytest.fail("it is there")) == {"x": 1}
    assert [path.name for path in stage.path.iterdir()] == ["a.json"]


def test_what_was_made_and_what_is_read_again_are_the_same_data(tmp_path: Path) -> None:
    stage = Stage(tmp_path / "generation-0")
    first = stage.json("a.json", lambda: {"1": (1, 2), "f": 0.1 + 0.2})
    assert first == stage.json("a.json", dict) == {"1": [1, 2], "f": 0.1 + 0.2}


def test_a_failure_while_making_leaves_nothing_finished(tmp_path: Path) -> None:
    stage = Stage(tmp_path / "generation-0")

    def fail(out: Path | None = None) -> dict[str, Any]:
        if out is not None:
            (out / "half").write_text("half")
        raise Interrupted

    with pytest.raises(Interrupted):
        stage.json("a.json", fail)
    with pytest.raises(Interrupted):
        stage.folder("policy", fail)
    assert not (stage.path / "a.json").exists() and not (stage.path / "policy").exists()

    def work(out: Path) -> None:
        assert list(out.iterdir()) == [], "what a failed attempt left is gone"
        (out / "whole").write_text("whole")

    folder = stage.folder("policy", work)
    assert folder == stage.path / "policy" and (folder / "whole").read_text() == "whole"
    assert stage.folder("policy", lambda out: pytest.fail("it is there")) == folder
    assert [path.name for path in stage.path.iterdir()] == ["policy"]


def test_a_reader_sees_the_old_text_or_the_new_one(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_text(path, "old")
    reader = path.open()
    write_text(path, "new and longer")
    assert reader.read() == "old" and path.read_text() == "new and longer"
    reader.close()
    assert [one.name for one in tmp_path.iterdir()] == ["a.txt"]


def test_opening_writes_the_configuration_once_and_every_call(tmp_path: Path) -> None:
    config = config_with()
    for _ in range(2):
        run = RunDir.open(tmp_path / "a", config, ["iterdeploy", "run"])
        assert run.config == config
        run.close()
    assert len(read_json(tmp_path / "a" / "provenance.json")["calls"]) == 2


def test_a_changed_configuration_is_refused_and_the_lock_is_free_for_the_right_one(tmp_path: Path) -> None:
    config = config_with()
    RunDir.open(tmp_path / "a", config, []).close()
    before = (tmp_path / "a" / "config.toml").read_bytes()
    with pytest.raises(RunDirError, match=r"seed: 5, now 6") as caught:
        RunDir.open(tmp_path / "a", config_with({"seed": 6}), [])
    assert str(tmp_path / "a") in str(caught.value)
    assert (tmp_path / "a" / "config.toml").read_bytes() == before
    RunDir.open(tmp_path / "a", config, []).close()


def test_a_folder_that_is_not_a_run_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(RunDirError, match="not a run"):
        RunDir.open(tmp_path, config_with(), [])
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]
    with pytest.raises(RunDirError, match="no run here"):
        RunDir.read(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_an_empty_folder_and_one_killed_before_its_configuration_was_written_are_taken(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    RunDir.open(tmp_path / "empty", config_with(), []).close()
    (tmp_path / "killed").mkdir()
    (tmp_path / "killed" / "lock").write_text("999999")
    (tmp_path / "killed" / "unfinished-config.toml").write_text("half")
    RunDir.open(tmp_path / "killed", config_with(), []).close()
    assert not list(tmp_path.rglob("unfinished-*"))


def test_states(tmp_path: Path) -> None:
    run = RunDir.open(tmp_path / "a", config_with({"generations": 0}), [])
    reader = RunDir.read(tmp_path / "a")
    assert reader.state() == State("running", process=os.getpid())
    run.close()
    assert reader.state() == State("interrupted")
    run = RunDir.open(tmp_path / "a", config_with({"generations": 0}), [])
    run.generation(0).json("metrics.json", lambda: {"generation": 0})
    assert run.state() == State("complete")
    run.stop("some_reason", "because", {"d": {"invalid": 3}})
    run.close()
    assert reader.state() == State("some_reason", "because", counts={"d": {"invalid": 3}})
    RunDir.open(tmp_path / "a", config_with({"generations": 0}), []).close()
    assert reader.state() == State("complete"), "a new call forgets why the last one stopped"
    reader.close()


def test_two_that_ask_for_the_state_at_once_do_not_take_each_other_for_the_run(tmp_path: Path) -> None:
    RunDir.open(tmp_path / "a", config_with(), []).close()
    reader = RunDir.read(tmp_path / "a")
    asking = os.open(tmp_path / "a" / "lock", os.O_RDONLY)
    fcntl.flock(asking, fcntl.LOCK_SH)  # what another reader holds while it looks
    assert reader.state() == State("interrupted")
    os.close(asking)
    RunDir.open(tmp_path / "a", config_with(), []).close()  # and what was asked for is given back
    reader.close()


def test_metrics_stop_at_the_first_generation_that_is_not_measured(tmp_path: Path) -> None:
    run = RunDir.open(tmp_path / "a", config_with(), [])
    for generation in (0, 1, 3):
        run.generation(generation).json("metrics.json", lambda generation=generation: {"generation": generation})  # type: ignore[misc]
    assert [one.generation for one in run.metrics()] == [0, 1]
    run.close()
