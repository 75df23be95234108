"""A disk that fills up: told in one paragraph, nothing half-written, and resuming with space ends the run the same.

Twice: with a limit on the size of every file (anywhere), and on a real small file system (where one may be mounted).
"""

import resource
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from helpers.support import assert_refused, assert_whole, iterdeploy, run_facts, write_config

pytestmark = pytest.mark.slow

KILOBYTE = 1024


def limited(size: int) -> Callable[[], None]:
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


@pytest.mark.parametrize(
    "size",
    [100, 40 * KILOBYTE, 3000 * KILOBYTE],
    ids=["configuration", "store", "weights"],
)
def test_when_no_file_can_grow_the_run_stops_in_words_and_resumes(finished: Path, tmp_path: Path, size: int) -> None:
    config, path = write_config(tmp_path), tmp_path / "runs" / "tiny"
    done = iterdeploy("run", config, "--runs-dir", path.parent, preexec_fn=limited(size))
    assert_refused_at_the_end(done)
    done = iterdeploy("run", config, "--runs-dir", path.parent)
    assert done.returncode == 0, done.stderr
    assert_whole(path)
    assert run_facts(path) == run_facts(finished)


def assert_refused_at_the_end(done: "subprocess.CompletedProcess[str]") -> None:
    """The last line tells it; before it are the lines of progress."""
    assert "Traceback" not in done.stderr, done.stderr
    done.stderr = done.stderr.strip().splitlines()[-1] + "\n"
    assert_refused(done, "disk is full", "free some space", "resume")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 6 MB: the run's first generation fits, the weights of the second do not."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = shutil.which("mount")
    command = [mount or "mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(folder)]
    if mount is None or subprocess.run(command, capture_output=True).returncode != 0:
        pytest.skip("no permission to mount a small file system")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize("taken", [0, 6_200_000], ids=["by-the-run", "before-it-began"])
def test_on_a_full_disk_the_run_stops_in_words_and_resumes_when_there_is_space(
    finished: Path, small_disk: Path, tmp_path: Path, taken: int
) -> None:
    config, path = write_config(tmp_path), small_disk / "tiny"
    (small_disk / "ballast").write_bytes(b"x" * taken)
    done = iterdeploy("run", config, "--runs-dir", small_disk)
    assert_refused_at_the_end(done)
    if path.exists() and (path / "traces.sqlite").exists():
        told = iterdeploy("status", "tiny", "--json", "--runs-dir", small_disk)
        assert told.returncode == 0 and '"state": "interrupted"' in told.stdout
    subprocess.run(["mount", "-o", "remount,size=64m", str(small_disk)], check=True)
    (small_disk / "ballast").unlink()
    done = iterdeploy("run", config, "--runs-dir", small_disk)
    assert done.returncode == 0, done.stderr
    assert_whole(path)
    assert run_facts(path) == run_facts(finished)
