"""Fixtures: the command line as a process, and one finished run that all reading tests share."""

import fcntl
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from helpers import support
from helpers.postgres import PROGRAMS, Place, Server
from iterdeploy.wording import show_warnings


def pytest_collection_modifyitems(items: Sequence[pytest.Item]) -> None:
    """Whoever reads the finished run waits for it, so all these tests are slow."""
    for item in items:
        if "finished" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session", autouse=True)
def warnings_are_shown() -> None:
    """As the command line does."""
    show_warnings()


@pytest.fixture(scope="session", autouse=True)
def state_of_the_user(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The key that marks runs as this user's is made for the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield


@pytest.fixture
def run_cli() -> Callable[..., "subprocess.CompletedProcess[str]"]:
    """Runs `python -m iterdeploy ARGS` in a process of its own and checks its exit status."""

    def run(*args: object, check_exit: int | None = 0, **options: Any) -> "subprocess.CompletedProcess[str]":
        done = support.iterdeploy(*args, **options)
        assert "Traceback" not in done.stderr, done.stderr
        assert check_exit is None or done.returncode == check_exit, (done.returncode, done.stdout, done.stderr)
        return done

    return run


@pytest.fixture
def tiny_config(tmp_path: Path) -> Callable[..., Path]:
    """Writes the minuscule configuration, with some dotted keys changed, and returns its file."""

    def write(overrides: Mapping[str, Any] | None = None, name: str = "tiny") -> Path:
        return support.write_config(tmp_path, overrides, name)

    return write


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Path:
    """The folder of a finished, never interrupted run. For reading only; shared by processes that test."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if hasattr(request.config, "workerinput") else base) / "finished"
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "runs").exists():
            done = support.iterdeploy("run", support.write_config(folder), "--runs-dir", folder / "runs")
            assert done.returncode == 0, done.stderr
    return folder / "runs" / "tiny"


@pytest.fixture
def finished_copy(finished: Path, tmp_path: Path) -> Path:
    """A copy of the finished run that a test may spoil; its configuration is `../../tiny.toml`."""
    support.write_config(tmp_path)
    return Path(shutil.copytree(finished, tmp_path / "runs" / "tiny"))


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


@pytest.fixture(scope="module", params=["sqlite", *(["postgresql"] if PROGRAMS else [])])
def place(request: pytest.FixtureRequest) -> Place:
    return Place(request.getfixturevalue("postgres") if request.param == "postgresql" else None)
