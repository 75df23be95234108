"""The examples run as they stand, and the notebook is the script."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from helpers.notebook import notebook
from helpers.support import ROOT

SCRIPT = ROOT / "examples" / "explore.py"


def test_the_notebook_is_the_script() -> None:
    """`python -m helpers.notebook ../examples/explore.py`, in tests/, makes it anew."""
    made = notebook(SCRIPT.read_text(encoding="utf-8"))
    assert SCRIPT.with_suffix(".ipynb").read_text(encoding="utf-8") == made
    assert made.count('"cell_type": "code"') == SCRIPT.read_text(encoding="utf-8").count("\n# %% ") > 4


@pytest.mark.slow
def test_the_script_explores_two_runs(tmp_path: Path) -> None:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, SCRIPT], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=540
    )
    assert done.returncode == 0, done.stderr
    assert "generation  held_out  held_out_low" in done.stdout and "explore-all" in done.stdout
    assert {path.name for path in (tmp_path / "runs").iterdir()} == {"explore", "explore-all"}
