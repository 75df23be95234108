"""Lines and trackers follow a run: nothing twice, nothing lost, and no tracker ever ends a run."""

import importlib.util
import json
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from helpers.support import config_with, file_hashes, write_config
from iterdeploy import tracking
from iterdeploy.cli.main import main
from iterdeploy.record.files import read_json
from iterdeploy.record.run_dir import RunDir
from iterdeploy.sections import ConfigError
from iterdeploy.tracking import Row, Tracking, check_tracking, rows, write_lines
from iterdeploy.tracking.trackers import TRACKERS

Write = Callable[..., Path]


def lines_of(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


@pytest.fixture
def copy(finished_copy: Path) -> Iterator[RunDir]:
    """The finished run before anything was tracked."""
    (finished_copy / "metrics.jsonl").unlink()
    run_dir = RunDir.read(finished_copy)
    yield run_dir
    run_dir.close()


def test_every_run_has_its_lines_and_they_are_what_was_measured(finished: Path) -> None:
    lines = lines_of(finished)
    assert [line["generation"] for line in lines if line["event"] == "generation"] == [0, 1, 2]
    for line in lines:
        if line["event"] == "generation":
            metrics = read_json(finished / f"generation-{line['generation']}" / "metrics.json")
            assert line["deployed.coverage"] == metrics["deployed"]["coverage"]
            assert line["held_out.interval.high"] == metrics["held_out"]["interval"][1]
            assert line["verdicts.valid"] == metrics["verdicts"]["valid"]
            assert line["seconds.sampling"] > 0
        assert all(isinstance(value, int | float) for name, value in line.items() if name != "event")
    for generation in (1, 2):
        report = read_json(finished / f"generation-{generation - 1}" / "policy" / "training.json")
        mine = [line for line in lines if line["generation"] == generation]
        assert [line["event"] for line in mine] == ["step"] * report["steps"] + ["training", "generation"]
        assert [line["loss"] for line in mine[: report["steps"]]] == [one["loss"] for one in report["log"]]
        assert mine[-2]["validation_loss.last"] == report["validation_loss"][-1]
    steps = [line["step"] for line in lines if line["event"] == "step"]
    assert steps == list(range(1, len(steps) + 1))


def test_a_resumed_run_repeats_no_line_and_changes_none(finished_copy: Path) -> None:
    before = (finished_copy / "metrics.jsonl").read_bytes()
    assert main(["resume", "tiny", "--runs-dir", str(finished_copy.parent)]) == 0
    assert (finished_copy / "metrics.jsonl").read_bytes() == before


def test_lines_grow_with_what_is_finished_and_those_that_are_there_stay(copy: RunDir) -> None:
    whole = write_lines(copy)
    last = copy.path / "generation-2" / "metrics.json"
    kept = last.read_bytes()
    last.unlink()
    (copy.path / "metrics.jsonl").unlink()
    shorter = write_lines(copy)
    assert shorter == whole[: len(shorter)] and len(shorter) < len(whole)
    marked = [{**shorter[0], "note": 1}, *shorter[1:]]
    (copy.path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in marked))
    last.write_bytes(kept)
    assert write_lines(copy) == lines_of(copy.path) == [*marked, *whole[len(shorter) :]]
    assert not list(copy.path.glob("unfinished*"))


def events(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """Name -> (step, value) of everything in a folder of TensorBoard."""
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = EventAccumulator(str(folder), size_guidance={"scalars": 0})
    found.Reload()
    return {name: [(one.step, one.value) for one in found.Scalars(name)] for name in found.Tags()["scalars"]}


def test_tensorboard_shows_every_line_once_however_often_the_run_is_resumed(copy: RunDir) -> None:
    pytest.importorskip("tensorboard")
    config = config_with({"tracking.to": ["tensorboard"]})
    last = copy.path / "generation-2" / "metrics.json"
    kept = last.read_bytes()
    last.unlink()
    Tracking(config).update(copy)
    last.write_bytes(kept)
    for _ in range(2):
        resumed = Tracking(config)
        resumed.update(copy)
        resumed.update(copy)
    shown = events(copy.path / "tensorboard")
    told = [(line["generation"], line["deployed.coverage"]) for line in rows(copy) if line["event"] == "generation"]
    assert shown["generation/deployed.coverage"] == [(g, pytest.approx(value)) for g, value in told]
    losses = [(line["step"], line["loss"]) for line in rows(copy) if line["event"] == "step"]
    assert shown["training/loss"] == [(step, pytest.approx(value)) for step, value in losses]


def test_a_tracker_that_fails_is_reported_once_and_catches_up_when_the_run_is_resumed(
    copy: RunDir, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sent: list[Row] = []
    broken = True

    def tracker(run: object, lines: list[Row]) -> None:
        if broken:
            raise ConnectionError("no route to https://me:hunter22@tracker")
        sent.extend(lines)

    monkeypatch.setitem(TRACKERS, "tensorboard", tracker)
    here = Tracking(config_with({"tracking.to": ["tensorboard"]}))
    here.update(copy)
    here.update(copy)
    told = capsys.readouterr().err
    assert told.count("warning: tracking to tensorboard failed") == 1 and "hunter22" not in told
    assert sent == [] and lines_of(copy.path) == rows(copy)
    broken = False
    here.update(copy)
    assert sent == [], "off until the run is resumed"
    Tracking(config_with({"tracking.to": ["tensorboard"]})).update(copy)
    assert sent == rows(copy)


@pytest.mark.slow
def test_a_run_goes_on_to_its_end_without_its_tracker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def tracker(run: object, lines: list[Row]) -> None:
        raise RuntimeError("down")

    monkeypatch.setitem(TRACKERS, "tensorboard", tracker)
    monkeypatch.setattr(tracking, "find_spec", lambda name: object())
    few = {"tasks.deployed": 4, "tasks.held_out": 2, "generations": 0, "tracking.to": ["tensorboard"]}
    assert main(["run", str(write_config(tmp_path, few)), "--runs-dir", str(tmp_path / "runs")]) == 0
    assert "tracking to tensorboard failed" in capsys.readouterr().err
    assert [line["event"] for line in lines_of(tmp_path / "runs" / "tiny")] == ["generation"]


def test_a_tracker_that_is_not_installed_is_refused_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    there = importlib.util.find_spec
    monkeypatch.setattr(tracking, "find_spec", lambda name: None if name == "wandb" else there(name))
    with pytest.raises(ConfigError, match="pip install wandb"):
        check_tracking(config_with({"tracking.to": ["wandb"]}).tracking)
    path = write_config(tmp_path, {"tracking.to": ["wandb"]})
    before = file_hashes(tmp_path)
    assert main(["run", str(path), "--runs-dir", str(tmp_path / "runs")]) == 2
    assert "pip install wandb" in capsys.readouterr().err and file_hashes(tmp_path) == before


def test_wandb_takes_the_lines_offline(copy: RunDir, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    Tracking(config_with({"tracking.to": ["wandb"]})).update(copy)
    assert read_json(copy.path / "tracking.json")["wandb"]["lines"] == len(rows(copy))
    (log,) = copy.path.glob("wandb/offline-run-*/run-*.wandb")
    written = log.read_bytes()
    assert b"generation/deployed.coverage" in written and b"training/loss" in written
    assert b"pytest" not in written, "the command line is not sent"
    host = socket.gethostname().encode()
    assert bytes([len(host)]) + host not in written, "as a field, with its length before it"


def test_mlflow_takes_the_lines_into_a_folder(copy: RunDir, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("mlflow")
    from mlflow.tracking import MlflowClient

    where = copy.path.parent / "mlruns"
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", where.as_uri())
    config = config_with({"tracking.to": ["mlflow"]})
    for _ in range(2):
        Tracking(config).update(copy)
    client = MlflowClient(where.as_uri())
    experiment = client.get_experiment_by_name("iterdeploy")
    assert experiment is not None
    (run,) = client.search_runs([experiment.experiment_id])
    told = [line["deployed.coverage"] for line in rows(copy) if line["event"] == "generation"]
    shown = client.get_metric_history(run.info.run_id, "generation/deployed.coverage")
    assert [(one.step, one.value) for one in shown] == list(enumerate(told))


def test_trackio_takes_the_lines_into_a_folder(
    copy: RunDir, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    where = copy.path.parent / "trackio"
    monkeypatch.setenv("TRACKIO_DIR", str(where))  # read when the package is first imported, which is here
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    trackio = pytest.importorskip("trackio")
    from trackio.sqlite_storage import SQLiteStorage

    opened: list[Any] = []
    init = trackio.init
    monkeypatch.setattr(trackio, "init", lambda **how: opened.append(init(**how)))
    config = config_with({"tracking.to": ["trackio"]})
    last = copy.path / "generation-2" / "metrics.json"
    kept = last.read_bytes()
    last.unlink()
    Tracking(config).update(copy)
    last.write_bytes(kept)
    for _ in range(2):
        Tracking(config).update(copy)
    assert capsys.readouterr() == ("", "")
    (run,) = SQLiteStorage.get_run_records("iterdeploy")
    assert run["name"] == f"tiny-{read_json(copy.path / 'tracking.json')['trackio']['id']}"
    shown = SQLiteStorage.get_logs("iterdeploy", run["name"])
    told = rows(copy)
    assert [one["generation"] for one in shown] == [line["generation"] for line in told]
    for name, event in (("training/loss", "step"), ("generation/deployed.coverage", "generation")):
        wanted = [line[name.partition("/")[2]] for line in told if line["event"] == event]
        assert [one[name] for one in shown if name in one] == wanted
    assert len(opened) == 2, "what it has is not sent again"
    assert [(one._cpu_monitor, one._gpu_monitor) for one in opened] == [(None, None)] * 2, "the machine is not watched"
