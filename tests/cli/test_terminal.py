"""What reaches a terminal: the words of others are shown and do nothing, and a run is found by its name or path."""

import ast
import json
import os
import shutil
import unicodedata
from contextlib import suppress
from pathlib import Path

import pytest

import iterdeploy
from helpers.reports import HOSTILE, make_run
from iterdeploy.cli.main import main
from iterdeploy.config import CurationConfig
from iterdeploy.types import Split
from iterdeploy.wording import say

PACKAGE = Path(iterdeploy.__file__).parent
NAME = "a[red]\x1b[31m\u202e$x^$:smile:"


def harmful(said: str) -> set[str]:
    return {c for c in said if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp")} - {"\n", "\t"}


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of two runs whose names, tasks, answers and end were written by somebody who means ill."""
    folder = tmp_path_factory.mktemp("hostile")
    for seed, name in enumerate((NAME, "b" + NAME)):
        hidden = {"curation": CurationConfig(policies=("valid", f"prefer({HOSTILE}, 1)"))} if seed else {}
        options = {"answer": HOSTILE, "description": HOSTILE, "domains": (HOSTILE, "blocksworld"), **hidden}
        run_dir = make_run(folder / name, (8, 24), seed=seed, **options)
        run_dir.stop("no_traces_to_train_on", HOSTILE, {})
        run_dir.close()
    return folder


@pytest.mark.parametrize(
    "command",
    [
        ("status", NAME),
        ("status", NAME, "--json"),
        ("traces", NAME),
        ("traces", NAME, "--json"),
        ("report", NAME),
        ("compare", NAME, "b" + NAME),
        ("compare", NAME, "b" + NAME, "--json"),
        ("audit", NAME),
        ("theory", NAME),
        ("export", NAME, "--traces", "--to", "out\x1b[31m"),
        ("resume", NAME),
        ("status", "\x1b[31m\u202e"),
        ("run", "\x1b[31m\u202e.toml"),
        ("run", "smoke", "--name", "\x1b[31m\u202e"),
        ("run", "smoke", "--set", "\x1b[31m=\u202e"),
        ("run", "smoke", "--set", "tasks.domains=['\\u001b[31m\\u202e']", "--dry-run"),
        ("run", "smoke", "--set", 'model.name="\\u001b\\u202e"', "--dry-run"),
        ("tasks", "show", "\x1b[31m\u202e"),
        ("validate", "\x1b[31m", "\u202e", "x"),
    ],
    ids=lambda command: ascii(command)[:60],
)
def test_nothing_that_others_wrote_does_anything_on_the_terminal(
    hostile: Path,
    tmp_path: Path,
    command: tuple[str, ...],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    runs = Path(shutil.copytree(hostile, tmp_path / "runs"))
    monkeypatch.chdir(tmp_path)
    reads_runs = command[0] not in ("tasks", "validate")
    with suppress(SystemExit):
        main([*command, *(["--runs-dir", str(runs)] if reads_runs else [])])
    out, err = capsys.readouterr()
    assert out + err
    assert not harmful(out + err)
    assert "Warning" not in err
    if command[0] in ("status", "compare") and NAME in command and "--json" not in command:
        assert r"a[red]\x1b[31m\u202e$x^$:smile:" in out


def test_everything_is_printed_by_the_one_function_that_makes_it_harmless() -> None:
    printing = {
        str(path.relative_to(PACKAGE))
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    }
    assert printing - {"training/worker.py"} == {"wording.py"}  # a worker's lines are read by the process above it


def test_a_terminal_that_does_not_know_a_letter_gets_its_number(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with open(os.dup(1), "w", encoding="ascii") as narrow:
        monkeypatch.setattr("sys.stdout", narrow)
        say("größer")
    assert capfd.readouterr().out == "gr\\xf6\\xdfer\n"


@pytest.mark.parametrize("way", ["name", "relative path", "absolute path", "with slash", "from inside"])
def test_a_run_is_found_by_its_name_and_by_its_path(
    finished: Path, way: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(finished if way == "from inside" else finished.parents[1])
    path = finished.relative_to(finished.parents[1])
    run = {
        "name": finished.name,
        "relative path": f"./{path}",
        "absolute path": str(finished),
        "with slash": f"{path}/",
        "from inside": ".",
    }[way]
    assert main(["status", run]) == 0
    assert capsys.readouterr().out.startswith(f"{finished.name}: complete\n")


def test_a_run_that_is_not_there_is_blamed_on_what_was_typed(
    finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["status", "./mycopy", "--runs-dir", str(finished.parent)]) == 2
    said = capsys.readouterr().err
    assert "./mycopy: no such run; the runs in" in said and "are tiny" in said and "--name" not in said
    assert main(["status", "tinny", "--runs-dir", str(finished.parent)]) == 2
    assert "did you mean tiny?" in capsys.readouterr().err


def test_runs_of_one_name_in_several_places_are_told_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for place, seed in (("one", 0), ("two", 1)):
        make_run(tmp_path / place / "run", (8, 24), seed=seed, splits=[Split.DEPLOYED]).close()
    assert main(["compare", "one/run", "two/run", "--out", "page.html", "--json"]) == 0
    (arm,) = json.loads(capsys.readouterr().out)["arms"]
    assert [run["name"] for run in arm["runs"]] == ["one/run", "two/run"]
