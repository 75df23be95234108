"""The revision that a run records is that of the program, whatever repository lies around it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import iterdeploy

SOURCE = Path(iterdeploy.__file__).parent
ASK = "from iterdeploy.record.provenance import Facts, provenance; print(provenance([], Facts()).revision)"


def git(folder: Path, *command: str) -> str:
    identity = ["-c", "user.name=x", "-c", "user.email=x@example.org"]
    done = subprocess.run(["git", "-C", str(folder), *identity, *command], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def revision(package: Path) -> str:
    """What a program says whose package lies there."""
    environment = {**os.environ, "PYTHONPATH": str(package.parent)}
    done = subprocess.run([sys.executable, "-c", ASK], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("place", ["src/iterdeploy", ".venv/lib/site-packages/iterdeploy", "vendored/iterdeploy"])
@pytest.mark.parametrize("committed", [True, False])
def test_only_a_checkout_of_the_program_itself_has_a_revision(tmp_path: Path, place: str, committed: bool) -> None:
    package = tmp_path / place
    shutil.copytree(SOURCE, package, ignore=shutil.ignore_patterns("embedded", "__pycache__"))
    git(tmp_path, "init", "-q")
    (tmp_path / "paper.tex").write_text("mine")
    git(tmp_path, "add", "." if committed else "paper.tex")
    git(tmp_path, "commit", "-qm", "x")
    head = git(tmp_path, "rev-parse", "HEAD")[:12]
    own = place == "src/iterdeploy" and committed
    assert revision(package) == (head if own else "None")
    if own:
        (package / "__init__.py").write_text((package / "__init__.py").read_text() + "# changed\n")
        assert revision(package) == f"{head}-dirty"
