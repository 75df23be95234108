"""What `python -m build` makes, and what pip makes of it: all that a run needs, and a run by name from it alone."""

import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import numpy
import pytest

import iterdeploy as package
from helpers.support import MODEL, ROOT

pytestmark = pytest.mark.slow

SOURCE = Path(package.__file__).parent
LIBRARIES = Path(numpy.__file__).parents[1]
"""Where this environment has what `iterdeploy` depends on."""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an sdist and the wheel that was made from it, as `python -m build` makes them for a release."""
    pytest.importorskip("hatchling", reason="the build backend is not installed")
    out = tmp_path_factory.mktemp("dist")
    finished(sys.executable, "-m", "build", "--no-isolation", "--outdir", out, ROOT)
    return out


@pytest.fixture(scope="module")
def wheel(built: Path) -> Path:
    (path,) = built.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def sdist(built: Path) -> Path:
    (path,) = built.glob("*.tar.gz")
    return path


def finished(*command: object, **options: object) -> str:
    """Standard output of a command, which must have done what it should without a warning."""
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, timeout=900, **options)  # type: ignore[call-overload]
    assert done.returncode == 0, done.stdout + done.stderr
    assert "warn" not in done.stderr.lower(), done.stderr
    return str(done.stdout)


def sources(folder: Path, *patterns: str) -> set[str]:
    """Relative paths of the files there that somebody wrote."""
    found = [path.relative_to(folder) for pattern in patterns for path in folder.rglob(pattern) if path.is_file()]
    return {str(path) for path in found if not any(part.startswith((".", "__pycache__")) for part in path.parts)}


def test_a_package_index_would_take_what_was_built(sdist: Path, wheel: Path) -> None:
    assert finished(sys.executable, "-m", "twine", "check", "--strict", sdist, wheel).count("PASSED") == 2


def test_the_wheel_holds_the_package_with_its_data_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    carried = {name.removeprefix("iterdeploy/") for name in names if name.startswith("iterdeploy/")}
    wanted = sources(SOURCE, "*.py", "*.pddl", "*.toml", "*.safetensors", "*.json", "*.css", "*.js", "*.md")
    assert wanted <= carried, wanted - carried
    assert {"configs/quickstart.toml", "configs/smoke.toml", f"models/embedded/{MODEL}/model.safetensors"} <= carried
    assert {f"models/embedded/{MODEL}/tokenizer.json", "planning/domains/blocksworld.pddl"} <= carried
    junk = [name for name in names if "cache" in name or name.endswith(".pyc") or "/tests/" in name]
    assert not junk
    assert {name.partition("/")[0] for name in names} == {"iterdeploy", wheel.name.split("-py3")[0] + ".dist-info"}
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert wheel.stat().st_size < 15_000_000


def test_the_sdist_holds_what_it_takes_to_test_and_to_change_the_package(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    for folder in ("src", "tests", "docs", "benchmarks", "examples"):
        wanted = {f"{folder}/{name}" for name in sources(ROOT / folder, "*")}
        assert wanted <= names, wanted - names
    assert {"pyproject.toml", "Makefile", "constraints.txt", "CONTRIBUTING.md", "CHANGELOG.md", "LICENSE"} <= names
    assert not [name for name in names if "__pycache__" in name or name.startswith(("configs", ".venv", "runs"))]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["wheel", "sdist"])
def test_smoke_runs_from_the_installed_package_in_an_empty_folder_without_a_network_or_a_warning(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    python = environment(tmp_path / "venv")
    install = [sys.executable, "-m", "pip", "--python", python, "install", "--no-index", "--no-deps"]
    finished(*install, "--no-build-isolation", "--ignore-installed", request.getfixturevalue(kind))
    empty = tmp_path / "elsewhere"
    empty.mkdir()
    assert finished(python, "-c", "import iterdeploy; print(iterdeploy.__file__)", cwd=empty).startswith(str(tmp_path))

    program = python.with_name("iterdeploy")
    small = ["generations=1", "tasks.deployed=30", "tasks.held_out=12", "tasks.sizes=2"]
    settings = [part for value in small for part in ("--set", value)]
    finished(*offline(), program, "run", "smoke", *settings, cwd=empty)
    assert (empty / "runs" / "smoke" / "report.html").exists()
    assert [path.name for path in empty.iterdir()] == ["runs"]
    assert finished(program, "status", "smoke", cwd=empty).startswith("smoke: complete")


def environment(folder: Path) -> Path:
    """The interpreter of a new virtual environment, which finds the libraries of this one after its own packages."""
    finished(sys.executable, "-m", "venv", "--without-pip", folder)
    (packages,) = folder.glob("lib/python*/site-packages")
    (packages / "libraries.pth").write_text(f"{LIBRARIES}\n")
    return folder / "bin" / "python"


def offline() -> list[str]:
    """What takes the network away from the command that follows; nothing where that cannot be done."""
    for attempt in (["unshare", "--net"], ["unshare", "--map-root-user", "--net"]):
        if shutil.which("unshare") and subprocess.run([*attempt, "true"], capture_output=True).returncode == 0:
            return attempt
    return []
