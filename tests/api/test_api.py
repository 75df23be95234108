"""Runs from Python: what they leave as records and frames, and that the functions do what the commands do."""

import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

import iterdeploy
from helpers import support
from helpers.reports import make_run
from helpers.support import HEAVY, assert_whole, config_with, run_facts, write_config
from iterdeploy.record.files import RunDirError, read_json
from iterdeploy.record.run_dir import RunDir
from iterdeploy.sections import ConfigError, UserError

Write = Callable[..., Path]
SOLVED = (8, 24)
"""Of 40 tasks of each split, in generations 0 and 1."""


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    for seed in (0, 1):
        make_run(folder / f"main-{seed}", SOLVED, seed=seed).close()
    return folder


@pytest.fixture
def run(runs: Path) -> Iterator[iterdeploy.Run]:
    with iterdeploy.Run("main-0", runs) as opened:
        yield opened


def test_generations_are_what_was_measured(run: iterdeploy.Run) -> None:
    first, last = run.generations
    assert (first.number, last.number, run.measured) == (0, 1, 2)
    for generation, solved in zip((first, last), SOLVED, strict=True):
        for point in (generation.held_out, generation.deployed):
            assert point is not None and point.value == solved / 40
            assert point.low is not None and point.high is not None and point.low < point.value < point.high
        assert generation.verdicts["valid"] == 2 * solved and sum(generation.verdicts.values()) == 80
    assert first.change is None and not first.pool
    assert last.change is not None and (last.change.gained, last.change.lost) == (16, 0)
    assert set(last.pool) == {trace.id for trace in run.traces(generation=0, split="deployed", status="valid")}
    assert run.verdict.startswith("On 40 held-out tasks, coverage improved from 20.0%")


def test_traces_are_chosen_and_carry_what_was_written(run: iterdeploy.Run) -> None:
    assert len(list(run.traces())) == 160
    invalid = list(run.traces(generation=1, split="held_out", status="invalid"))
    assert len(invalid) == 40 - 24 - 1
    assert {(trace.generation, trace.split, trace.verdict.status) for trace in invalid} == {(1, "held_out", "invalid")}
    assert invalid[0].text == "a plan" and "step" in invalid[0].verdict.reason
    of_task = list(run.traces(task=invalid[0].task_id))
    assert [trace.generation for trace in of_task] == [0, 1]
    assert run.tasks[invalid[0].task_id].prompt.startswith("goal ")
    assert [trace.id for trace in run.traces(limit=3)] == [trace.id for trace in run.traces()][:3]
    for wrong in ({"split": "train"}, {"status": "wrong"}):
        with pytest.raises(ValueError, match="is not a valid"):
            run.traces(**wrong)


def test_frames_have_a_row_for_each(run: iterdeploy.Run, runs: Path) -> None:
    generations = run.to_pandas()
    assert list(generations["held_out"]) == [0.2, 0.6] and list(generations["pool"]) == [0, 8]
    traces = run.traces(status="valid").to_pandas()
    assert len(traces) == 2 * sum(SOLVED) and set(traces["status"]) == {"valid"} and "token_ids" not in traces
    assert list(traces.groupby("generation").size()) == [2 * solved for solved in SOLVED]
    compared = iterdeploy.compare("main-0", "main-1", runs_dir=runs).to_pandas()
    assert list(compared["coverage"]) == [0.2, 0.6] and set(compared["seeds"]) == {2}


def test_without_pandas_it_says_what_to_install(run: iterdeploy.Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pandas", None)
    with pytest.raises(UserError, match="pip install pandas"):
        run.to_pandas()


def test_a_comparison_says_what_the_command_says(runs: Path, tmp_path: Path) -> None:
    comparison = iterdeploy.compare(iterdeploy.Run("main-0", runs), runs / "main-1")
    (arm,) = comparison.arms
    assert arm.title == "main (2 seeds)" and comparison.coverage(arm)[1].value == 0.6
    assert "main (2 seeds) has a held-out coverage of 60.0%" in comparison.verdict
    assert comparison.write(tmp_path / "page.html").read_text().startswith("<!DOCTYPE html>")
    with pytest.raises(UserError, match="named twice"):
        iterdeploy.compare(runs / "main-0", runs / "main-0")


def test_a_run_is_found_by_name_or_path_or_not(runs: Path) -> None:
    assert iterdeploy.Run(runs / "main-1").name == iterdeploy.Run("main-1", runs).name == "main-1"
    with pytest.raises(RunDirError, match="did you mean main-1 or main-0"):
        iterdeploy.Run("main-2", runs)
    with pytest.raises(ConfigError, match="cannot be a folder's name"):
        iterdeploy.run(config_with(), runs_dir=runs)


@pytest.mark.parametrize(
    ("code", "unloaded"),
    [
        ("import iterdeploy; assert 'run' in dir(iterdeploy)", {*HEAVY, "pydantic", "rich", "sqlite3"}),
        ("from iterdeploy import Run, RunConfig, compare, extend, resume, run", set(HEAVY)),
    ],
)
def test_what_is_imported_is_light(code: str, unloaded: set[str]) -> None:
    """The names are there without what they need."""
    shown = f"{code}; import sys; print(*{{name.partition('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", shown], capture_output=True, text=True, check=True)
    assert "iterdeploy" in done.stdout.split() and not unloaded & set(done.stdout.split())


def test_a_name_that_is_not_there() -> None:
    with pytest.raises(AttributeError, match="no attribute 'walk'"):
        _ = iterdeploy.walk  # type: ignore[attr-defined]


def test_more_generations_must_be_more(runs: Path) -> None:
    before = (runs / "main-0" / "config.toml").read_bytes()
    with pytest.raises(ConfigError, match="has 1 already"):
        iterdeploy.extend("main-0", 1, runs_dir=runs)
    assert (runs / "main-0" / "config.toml").read_bytes() == before


def test_what_was_written_before_holds_after_an_extension(tmp_path: Path) -> None:
    """And twice; what names another beginning is damaged."""
    from iterdeploy.record.extension import extend

    make_run(tmp_path / "a", SOLVED).close()
    for generations in (3, 5):
        assert extend(tmp_path / "a", generations).generations == generations
        with iterdeploy.Run(tmp_path / "a") as run:
            assert run.config.generations == generations and run.state.name == "interrupted" and run.measured == 2
    config = tmp_path / "a" / "config.toml"
    first, second, rest = config.read_text().split("\n", 2)
    config.write_text("\n".join([first, second[:-1] + ("0" if second[-1] != "0" else "1"), rest]))
    with pytest.raises(RunDirError, match="does not fit"):
        _ = iterdeploy.Run(tmp_path / "a").generations


def facts(folder: Path) -> dict[str, Any]:
    """All that must be the same in two runs that began with different configurations: everything but the seals."""
    unsealed = {}
    for path in folder.glob("generation-*/*.json"):
        unsealed[str(path.relative_to(folder))] = {**read_json(path), "seal": None}
    return run_facts(folder) | unsealed


@pytest.mark.slow
def test_a_run_from_python_is_the_run_of_the_command_line(finished: Path, tmp_path: Path) -> None:
    """Begun with fewer generations, extended and resumed: the same traces, weights, metrics and pools."""
    config = write_config(tmp_path, {"generations": 1})
    run = iterdeploy.run(config, name="tiny", runs_dir=tmp_path)
    assert (run.state.name, run.measured, run.name) == ("complete", 2, "tiny")
    assert iterdeploy.extend(run, 2).state.name == "complete"
    assert_whole(tmp_path / "tiny")
    assert facts(tmp_path / "tiny") == facts(finished)
    assert len(RunDir.read(tmp_path / "tiny").calls) == 2
    again = iterdeploy.resume("tiny", runs_dir=tmp_path)
    assert again.measured == 3 and facts(again.path) == facts(finished)
    done = support.iterdeploy("resume", "tiny", "--runs-dir", tmp_path)
    assert done.returncode == 0 and facts(again.path) == facts(finished)


@pytest.mark.slow
def test_a_run_that_stops_by_itself_says_so(tiny_config: Write, tmp_path: Path) -> None:
    overrides: Mapping[str, Any] = {"sampling.max_new_tokens": 3, "sampling.max_truncated": 0.5}
    run = iterdeploy.run(tiny_config(), overrides, runs_dir=tmp_path)
    assert run.state.name == "too_many_truncated" and "sampling.max_new_tokens = 3" in run.state.reason
    assert read_json(run.path / "stopped.json")["state"] == run.state.name
    with pytest.raises(ConfigError, match=r"training\.epoch = 3: .*did you mean training\.epochs"):
        iterdeploy.run(tiny_config(), {"training.epoch": 3}, runs_dir=tmp_path)
