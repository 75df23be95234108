"""Folders that are not as a run of this user would leave them: only for reading, with links inside, or gone."""

import os
import shutil
import subprocess
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from helpers.killing import Server
from helpers.reports import make_run
from helpers.support import file_hashes, iterdeploy, write_config
from iterdeploy.cli.main import main
from iterdeploy.record.files import RunDirError
from iterdeploy.record.run_dir import RunDir
from iterdeploy.view.server import Server as Page
from iterdeploy.view.shelves import View

# Only for reading


@pytest.fixture
def locked(tmp_path: Path) -> Iterator[Path]:
    """Two runs in a folder in which nothing can be written: by its mount, or by its modes for who is not root."""
    runs = tmp_path / "runs"
    for seed in range(2):
        make_run(runs / f"r{seed}", (8, 24), seed=seed).close()
    if os.geteuid():
        _set_modes(runs, 0o555, 0o444)
        yield runs
        _set_modes(runs, 0o755, 0o644)
        return
    mount = shutil.which("mount") or "mount"
    if subprocess.run([mount, "--bind", runs, runs], capture_output=True).returncode:
        pytest.skip("no permission to mount a folder")
    subprocess.run([mount, "-o", "remount,bind,ro", runs], check=True)
    yield runs
    subprocess.run(["umount", "-l", runs], check=True)


def _set_modes(folder: Path, folders: int, files: int) -> None:
    for path in [*folder.rglob("*"), folder]:
        path.chmod(folders if path.is_dir() else files)


@pytest.mark.parametrize(
    "command",
    [
        ("status", "r0"),
        ("traces", "r0"),
        ("report", "r0", "--out", "page.html"),
        ("compare", "r0", "r1", "--out", "page.html"),
        ("audit", "r0"),
        ("export", "r0", "--traces", "--to", "out"),
    ],
    ids=" ".join,
)
def test_what_only_reads_works_where_nothing_can_be_written(
    locked: Path, tmp_path: Path, command: tuple[str, ...], capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    before = file_hashes(locked)
    assert main([*command, "--runs-dir", str(locked)]) == 0, capsys.readouterr().err
    assert file_hashes(locked) == before
    if "--out" in command:
        assert "coverage" in (tmp_path / "page.html").read_text()


@pytest.mark.parametrize("command", [("report", "r0"), ("compare", "r0", "r1")], ids=" ".join)
def test_a_page_that_has_no_place_is_refused_with_the_option_that_gives_it_one(
    locked: Path, command: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*command, "--runs-dir", str(locked)]) == 2
    said = capsys.readouterr().err
    assert "--out" in said and "cannot be written" in said and "disk is full" not in said and "resume" not in said


def test_a_run_that_cannot_be_written_is_viewed(locked: Path) -> None:
    server = Page("127.0.0.1", 0, View(locked / "r0"))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/") as page:
        assert b"coverage" in page.read()
    server.shutdown()
    server.server_close()


# Links


@pytest.mark.parametrize(
    "name",
    ["lock", "unfinished-provenance.json", "unfinished-report.html", "generation-1/unfinished-policy", "report.html",
     "generation-0/metrics.json", "generation-0/policy", "traces.sqlite"],
)  # fmt: skip
@pytest.mark.parametrize("command", ["status", "report", "resume"])
def test_no_link_in_a_folder_is_followed(
    tmp_path: Path, name: str, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    victim = tmp_path / "victim"
    make_run(tmp_path / "runs" / "r", (8, 24), generations=2).close()
    place = tmp_path / "runs" / "r" / name
    if place.exists():
        shutil.move(place, victim)
    elif place.suffix:
        victim.write_text("years of work")
    else:
        victim.mkdir()
        (victim / "thesis.tex").write_text("years of work")
    place.symlink_to(victim)
    before = file_hashes(tmp_path / "runs"), file_hashes(victim.parent)
    assert main([command, "r", "--runs-dir", str(tmp_path / "runs")]) == 2
    said = capsys.readouterr().err
    assert str(place) in said and "a link to" in said
    assert (file_hashes(tmp_path / "runs"), file_hashes(victim.parent)) == before


# Moved or removed


@pytest.mark.parametrize("fate", ["moved", "removed", "replaced"])
def test_nothing_is_written_in_the_place_of_a_folder_that_went(tmp_path: Path, fate: str) -> None:
    path = tmp_path / "r"
    run_dir = make_run(path, (8, 24), generations=2)
    if fate == "removed":
        shutil.rmtree(path)
    else:
        path.rename(tmp_path / "elsewhere")
    if fate == "replaced":
        make_run(path, (3,), seed=2).close()
    before = file_hashes(path)
    with pytest.raises(RunDirError, match="moved or removed"):
        run_dir.generation(1).json("curated.json", dict)
    with pytest.raises(RunDirError, match="moved or removed"):
        run_dir.stop("any", "", {})
    with pytest.raises(ValueError, match="moved or removed"):
        run_dir.store.add_seconds({(0, "sampling"): 1.0})
    run_dir.close()
    assert file_hashes(path) == before


@pytest.mark.slow
@pytest.mark.parametrize("fate", ["moved", "removed"])
def test_a_run_whose_folder_goes_stops_in_words_and_goes_on_where_it_is(tmp_path: Path, fate: str) -> None:
    config, path = write_config(tmp_path, {"generations": 100}), tmp_path / "runs" / "tiny"
    with Server(tmp_path / "log") as server:
        server.start("run", config, "--runs-dir", path.parent)
        while not (path / "generation-0" / "metrics.json").exists():
            threading.Event().wait(0.05)
        path.rename(path.with_name("elsewhere"))
        if fate == "removed":
            shutil.rmtree(path.with_name("elsewhere"))
        status = server.wait()
    said = (tmp_path / "log").read_text()
    assert status == 2 and "moved or removed" in said and "Traceback" not in said, said
    assert not path.exists()
    if fate == "moved":
        done = iterdeploy("status", "elsewhere", "--json", "--runs-dir", path.parent)
        assert done.returncode == 0 and '"state": "interrupted"' in done.stdout
        RunDir.read(path.with_name("elsewhere")).close()
