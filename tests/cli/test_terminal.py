"""What reaches a terminal: the words of others are shown and do nothing, and a run is found by its name or path."""

import ast
import io
import json
import logging
import os
import re
import shutil
import subprocess
import sys
import unicodedata
from contextlib import suppress
from pathlib import Path

import pytest
from rich.console import Console

import iterdeploy as package
from helpers.reports import HOSTILE, make_run
from helpers.support import iterdeploy
from iterdeploy.cli.main import main
from iterdeploy.config import CurationConfig
from iterdeploy.console.lines import HEAD, lines
from iterdeploy.console.progress import Display
from iterdeploy.record.run_dir import RunDir
from iterdeploy.types import Split
from iterdeploy.wording import say

PACKAGE = Path(package.__file__).parent
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
    assert printing - {"training/worker.py"} == {"wording.py"}  # its lines are read by the process above


@pytest.fixture(scope="module")
def plain_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("plain") / "main"
    make_run(folder, (8, 24, 30)).close()
    return folder


def test_the_table_of_a_run_fits_80_columns_and_is_plain(plain_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", str(plain_run)]) == 0
    state, head, *rows, verdict = capsys.readouterr().out.splitlines()
    assert state == "main: complete" and verdict.startswith("On 40 held-out tasks, coverage improved")
    assert head.split() == ["generation", "held-out", "coverage", "frontier", "trained", "on", "time"]
    assert [row.split()[:2] for row in rows] == [["0", "20.0%"], ["1", "60.0%"], ["2", "75.0%"]]
    assert [row.split()[-2] for row in rows] == ["-", "8", "24"] and rows[0].endswith(" 0:00:16")
    assert max(map(len, [head, *rows])) <= 80 and "".join(rows).isascii()


def test_what_is_piped_has_neither_boxes_nor_broken_rows(plain_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", str(plain_run), "--wide"]) == 0
    assert main(["list", "--runs-dir", str(plain_run.parent)]) == 0
    said = capsys.readouterr().out
    assert said.isascii() and "60.0% [4" in said
    assert "  main  complete  3 of 3  20.0% to 75.0%" in said.splitlines()
    assert "paper/rovers" in said and "For `iterdeploy pretrain`: makes rovers-1m" in said


def test_what_is_there_is_listed_and_so_is_a_run_that_cannot_be_read(
    plain_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(plain_run, tmp_path / "main")
    shutil.copytree(plain_run, tmp_path / "spoilt")
    (tmp_path / "spoilt" / "config.toml").write_text("generations = [")
    assert main(["list", "--json", "--runs-dir", str(tmp_path)]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["runs"]["main"] == ["complete", "3 of 3", "20.0% to 75.0%"]
    assert found["runs"]["spoilt"][0].startswith("cannot be read: ") and "config.toml" in found["runs"]["spoilt"][0]
    assert found["configurations"]["smoke"] == "The whole loop in under a minute"
    assert main(["list", "--runs-dir", str(tmp_path / "none")]) == 0
    assert "none yet: `iterdeploy run quickstart` makes one" in capsys.readouterr().out


def test_a_line_is_added_for_each_generation_that_ends(plain_run: Path) -> None:
    shown = io.StringIO()
    run_dir = RunDir.read(plain_run)
    display = Display(Console(file=shown, markup=False))
    for _ in range(3):
        display.generation(run_dir)
    assert shown.getvalue().splitlines() == [HEAD, *lines(run_dir)]
    run_dir.close()


def test_traces_show_what_the_model_wrote(plain_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["traces", str(plain_run), "--generation", "1", "--status", "invalid", "--limit", "1"]
    assert main(command) == 0
    head, text, end = capsys.readouterr().out.splitlines()
    assert head.startswith("generation 1  task blocksworld-deployed-0024  sample 0  deployed  size 3  invalid  step ")
    assert (text, end) == ("    a plan", "")
    assert main([*command[:-2], "--task", "blocksworld-held_out-0030"]) == 0
    assert capsys.readouterr().out.count("generation 1") == 1


@pytest.mark.parametrize(
    ("line", "offered", "not_offered"),
    [
        ("iterdeploy ext", {"extend"}, "resume"),
        ("iterdeploy resume m", {"main"}, "extend"),
        ("iterdeploy compare main m", {"main"}, "smoke"),
        ("iterdeploy run paper/r", {"paper/rovers"}, "smoke"),
        ("iterdeploy run smoke --set training.ep", {"training.epochs="}, "training.steps="),
        ("iterdeploy status main --w", {"--wide"}, "--json"),
    ],
)
def test_a_shell_completes_commands_names_and_keys(
    plain_run: Path, tmp_path: Path, line: str, offered: set[str], not_offered: str
) -> None:
    (tmp_path / "runs").symlink_to(plain_run.parent)
    answer = tmp_path / "answer"
    asked = {"_ARGCOMPLETE": "1", "COMP_LINE": line, "COMP_POINT": str(len(line)), "IFS": "\n",
             "_ARGCOMPLETE_IFS": "\n", "_ARGCOMPLETE_STDOUT_FILENAME": str(answer)}  # fmt: skip
    iterdeploy("run", cwd=tmp_path, env={**os.environ, **asked})
    found = {word.strip() for word in answer.read_text().splitlines()}
    assert offered <= found and not_offered not in found


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_what_a_shell_must_run_is_printed(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0
    assert "iterdeploy" in capsys.readouterr().out


def test_warnings_are_a_program_s_to_silence_and_the_command_line_s_to_show(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    logger = logging.getLogger("iterdeploy.anything")
    logger.warning("%s is odd", HOSTILE)
    said = capsys.readouterr().err
    assert said.startswith("iterdeploy: warning: ") and said.count("\n") == 1 and not harmful(said)
    assert caplog.messages == [f"{HOSTILE} is odd"], "and whoever else listens gets it as it is"
    logger.setLevel(logging.ERROR)
    logger.warning("quiet")
    assert capsys.readouterr().err == ""
    logger.setLevel(logging.NOTSET)


ON_A_TERMINAL = """
import sys, time
from iterdeploy.cli.main import main
from iterdeploy.console.progress import Display
assert sys.stdout.isatty() and sys.stderr.isatty()
with Display().bar("answers", "answers") as report:
    report(1, 2)
    time.sleep(0.3)
for arguments in (["status", sys.argv[1]], ["status", sys.argv[1], "--wide"], ["list"], ["status", "nosuch"]):
    main(arguments)
"""


def shown_on_a_terminal(run: Path, **variables: str) -> str:
    """What a pseudo-terminal gets of a bar, of tables and of an error."""
    ours, theirs = os.openpty()
    kept = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "FORCE_COLOR")}
    command = [sys.executable, "-c", ON_A_TERMINAL, str(run)]
    environment = {**kept, "TERM": "xterm-256color", **variables}
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment) as process:
        os.close(theirs)
        said = b""
        with suppress(OSError):  # how the other end's closing reads on Linux
            while some := os.read(ours, 65536):
                said += some
    os.close(ours)
    assert process.returncode == 0, said
    return said.decode()


def test_no_color_is_heeded_on_a_terminal(plain_run: Path) -> None:
    colour = re.compile(r"\x1b\[(?:\d+;)*(?:3[0-8]|4[0-8]|9[0-7]|10[0-7])(?:;\d+)*m")
    assert colour.search(shown_on_a_terminal(plain_run))
    without = shown_on_a_terminal(plain_run, NO_COLOR="1")
    assert "answers" in without and "60.0%" in without and "nosuch" in without
    assert not colour.search(without)


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
