"""The copy of a run elsewhere: whole at every moment, made of finished things alone, and enough to go on from."""

import json
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from helpers.support import config_with, file_hashes, run_facts, write_config
from iterdeploy.record.files import RunDirError
from iterdeploy.record.mirror import Mirror
from iterdeploy.record.run_dir import RunDir
from iterdeploy.record.trust import what_it_would_execute
from iterdeploy.sections import ConfigError

Cli = Callable[..., Any]


def a_run(folder: Path, url: str) -> RunDir:
    return RunDir.open(folder, config_with({"mirror.url": url}), [])


def finished(folder: Path) -> dict[str, str]:
    """The files of the run but those of this process and of SQLite."""
    return {name: digest for name, digest in file_hashes(folder).items() if name != "lock" and ".sqlite" not in name}


@pytest.mark.parametrize("where", ["file://{}", "memory://{}"])
def test_what_is_finished_is_copied_at_once_and_comes_back(tmp_path: Path, where: str) -> None:
    url = where.format(tmp_path / "elsewhere")
    run = a_run(tmp_path / "a", url)
    stage = run.generation(0)
    stage.json("curated.json", lambda: {"coverage": 1})
    unfinished = stage.path / "unfinished-policy"
    unfinished.mkdir()
    (unfinished / "weights").write_text("half of")
    stage.folder("report", lambda out: (out / "page").write_text("whole"))
    with closing(sqlite3.connect(run.store.path)) as store:
        wanted = list(store.iterdump())
    run.close()
    Mirror(url, "a").restore(tmp_path / "b")
    there = finished(tmp_path / "b")
    assert there == {name: digest for name, digest in finished(tmp_path / "a").items() if "unfinished" not in name}
    assert "generation-0/curated.json" in there and "generation-0/report/page" in there
    with closing(sqlite3.connect(tmp_path / "b" / "traces.sqlite")) as store:
        assert list(store.iterdump()) == wanted
    again = a_run(tmp_path / "b", url)
    assert again.generation(0).json("curated.json", lambda: {}) == {"coverage": 1}, "it is a run that goes on"
    again.close()


KILLED_IN_A_COPY = """
import os, signal, sys
from pathlib import Path
from fsspec.implementations.local import LocalFileSystem
from iterdeploy.record.mirror import Mirror

moment = int(sys.argv[3])
def counting(real):
    def call(*args, **options):
        global moment
        moment -= 1
        if moment == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*args, **options)
    return call
for name in ("put_file", "pipe_file", "mv", "rm_file"):
    setattr(LocalFileSystem, name, counting(getattr(LocalFileSystem, name)))
Mirror("file://" + sys.argv[1], "a").save(Path(sys.argv[2]))
"""


def test_killed_at_every_moment_of_a_copy_it_is_the_one_before_or_the_one_after(tmp_path: Path) -> None:
    run = a_run(tmp_path / "a", f"file://{tmp_path}/elsewhere")
    run.generation(0).json("metrics.json", lambda: {"coverage": 1})
    run.close()
    before = finished(tmp_path / "a")
    (tmp_path / "a" / "generation-0" / "curated.json").write_text("{}")
    (tmp_path / "a" / "provenance.json").write_text('{"calls": []}')
    after, seen = finished(tmp_path / "a"), []
    for moment in range(1, 20):
        command = [
            sys.executable,
            "-c",
            KILLED_IN_A_COPY,
            str(tmp_path / "elsewhere"),
            str(tmp_path / "a"),
            str(moment),
        ]
        status = subprocess.run(command).returncode
        Mirror(f"file://{tmp_path}/elsewhere", "a").restore(tmp_path / f"b{moment}")
        seen.append(finished(tmp_path / f"b{moment}"))
        assert seen[-1] in (before, after)
        if status == 0:
            break
        assert status == -signal.SIGKILL
    assert before in seen and seen[-1] == after
    blobs = list((tmp_path / "elsewhere" / "a" / "blobs").iterdir())
    assert len(blobs) == len(set(json.loads((tmp_path / "elsewhere" / "a" / "manifest.json").read_text()).values()))


def test_a_copy_that_is_not_what_was_copied_is_refused_and_nothing_is_made_of_it(tmp_path: Path) -> None:
    url = f"file://{tmp_path}/elsewhere"
    run = a_run(tmp_path / "a", url)
    run.copy()
    run.close()
    mirror, manifest = Mirror(url, "a"), tmp_path / "elsewhere" / "a" / "manifest.json"
    with pytest.raises(RunDirError, match="is here already"):
        mirror.restore(tmp_path / "a")
    with pytest.raises(RunDirError, match="no copy of a run"):
        Mirror(url, "other").restore(tmp_path / "b")
    digests = json.loads(manifest.read_text())
    manifest.write_text(json.dumps({**digests, "../outside": digests["config.toml"]}))
    with pytest.raises(RunDirError, match="not in a run's folder"):
        mirror.restore(tmp_path / "b")
    manifest.write_text(json.dumps(digests))
    (manifest.parent / "blobs" / digests["config.toml"]).write_text("other")
    with pytest.raises(RunDirError, match="not what was copied"):
        mirror.restore(tmp_path / "b")
    assert not (tmp_path / "b").exists() and not (tmp_path / "outside").exists()


def test_a_mirror_that_cannot_be_written_is_one_warning_and_the_run_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    run = a_run(tmp_path / "a", f"file://{tmp_path}/file")
    run.generation(0).json("metrics.json", lambda: {})
    run.generation(0).json("curated.json", lambda: {})
    run.close()
    told = capsys.readouterr().err
    assert told.count("warning") == 1 and "mirror.url" in told
    assert (tmp_path / "a" / "generation-0" / "curated.json").exists()


def test_what_a_url_may_be(tmp_path: Path) -> None:
    for url in ("elsewhere", "s3://key:secret@bucket/runs", "s3://bucket/a?b"):
        with pytest.raises(ValueError, match="a URL reads like"):
            config_with({"mirror.url": url})
    with pytest.raises(ConfigError, match=r"mirror\.url: nosuch://a cannot be opened"):
        a_run(tmp_path / "a", "nosuch://a")
    (said,) = what_it_would_execute(config_with({"mirror.url": "s3://theirs/runs"}))
    assert "s3://theirs/runs" in said


@pytest.mark.slow
def test_a_run_that_is_killed_goes_on_elsewhere_from_its_copy_and_ends_the_same(run_cli: Cli, tmp_path: Path) -> None:
    url = f"file://{tmp_path}/elsewhere"
    config = write_config(tmp_path, {"mirror.url": url})
    run_cli("run", config, "--runs-dir", tmp_path / "untroubled")
    wanted = run_facts(tmp_path / "untroubled" / "tiny")
    (tmp_path / "elsewhere" / "tiny").rename(tmp_path / "of-the-untroubled")
    process = subprocess.Popen(
        [sys.executable, "-m", "iterdeploy", "run", str(config), "--runs-dir", str(tmp_path / "here")]
    )
    manifest = tmp_path / "elsewhere" / "tiny" / "manifest.json"
    deadline = time.monotonic() + 300
    while not (manifest.exists() and "generation-0/policy/policy.json" in manifest.read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.kill()
    process.wait()
    run_cli("resume", "tiny", "--from", url, "--trust", "--runs-dir", tmp_path / "there")
    assert run_facts(tmp_path / "there" / "tiny") == wanted
