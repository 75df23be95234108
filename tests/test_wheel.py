"""The built wheel carries what a run needs, and a run by name works from it alone, elsewhere and without a network."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import iterdeploy as package
from support import MODEL, iterdeploy

ROOT = Path(__file__).parents[1]
SOURCE = Path(package.__file__).parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("hatchling", reason="the build backend is not installed")
    out = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    (path,) = out.glob("*.whl")
    return path


def test_the_wheel_holds_the_package_with_its_data_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    carried = {name.removeprefix("iterdeploy/") for name in names if name.startswith("iterdeploy/")}
    wanted = {
        str(path.relative_to(SOURCE))
        for pattern in ("**/*.py", "**/*.pddl", "**/*.toml", "**/*.safetensors", "**/*.json", "**/*.css", "**/*.md")
        for path in SOURCE.glob(pattern)
        if not any(part.startswith((".", "__pycache__")) for part in path.relative_to(SOURCE).parts)
    }
    assert wanted <= carried, wanted - carried
    assert {"configs/quickstart.toml", "configs/smoke.toml", f"models/embedded/{MODEL}/model.safetensors"} <= carried
    assert {f"models/embedded/{MODEL}/tokenizer.json", "planning/domains/blocksworld.pddl"} <= carried
    junk = [name for name in names if "cache" in name or name.endswith(".pyc") or "/tests/" in name]
    assert not junk
    assert {name.partition("/")[0] for name in names} == {"iterdeploy", wheel.name.split("-py3")[0] + ".dist-info"}
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert wheel.stat().st_size < 15_000_000


def test_a_run_by_name_works_from_the_unpacked_wheel_in_an_empty_folder_without_a_network(
    wheel: Path, tmp_path: Path
) -> None:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "installed")
    empty = tmp_path / "elsewhere"
    empty.mkdir()
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "installed")}
    where = [sys.executable, "-c", "import iterdeploy; print(iterdeploy.__file__)"]
    told = subprocess.run(where, capture_output=True, text=True, env=environment, cwd=empty).stdout
    assert told.startswith(str(tmp_path / "installed"))

    offline: list[str] = []
    for attempt in (["unshare", "--net"], ["unshare", "--map-root-user", "--net"]):
        if shutil.which("unshare") and subprocess.run([*attempt, "true"], capture_output=True).returncode == 0:
            offline = attempt
            break
    small = ["generations=1", "tasks.deployed=30", "tasks.held_out=12", "tasks.sizes=2"]
    settings = [part for value in small for part in ("--set", value)]
    command = [*offline, sys.executable, "-m", "iterdeploy", "run", "smoke", *settings]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=empty, timeout=600)
    assert done.returncode == 0, done.stderr
    assert (empty / "runs" / "smoke" / "report.html").exists()
    assert [path.name for path in empty.iterdir()] == ["runs"]
    assert iterdeploy("status", "smoke", env=environment, cwd=empty).stdout.startswith("smoke: complete")
    if not offline:
        pytest.skip("the run worked, but the network could not be taken away")
