"""The benchmark for a GPU runs whole on a CPU, with every figure, and goes on where it stopped."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from helpers.support import ROOT


@pytest.mark.slow
def test_the_tiny_benchmark_measures_everything_and_nothing_twice(tmp_path: Path) -> None:
    out = tmp_path / "gpu.json"
    out.write_text(json.dumps({"sample": {"tokens_per_second": 1.0}}))
    command = [sys.executable, str(ROOT / "benchmarks" / "gpu" / "run.py"), "--tiny", "--out", str(out)]
    subprocess.run(command, check=True, cwd=tmp_path, timeout=600)
    found = json.loads(out.read_text())
    assert found.keys() == {"setting", "train-64", "train-128", "sample", "parity", "loop"}
    assert not [name for name, values in found.items() if "error" in values], found
    assert found["sample"] == {"tokens_per_second": 1.0}, "what is there is not measured again"
    assert found["train-128"]["tokens_per_second"] > 0
    assert found["parity"]["greedy_answers_equal"]
    if found["setting"]["device"] == "CPU":
        assert found["parity"]["largest_logprob_difference"] == 0
        assert found["parity"]["largest_weight_difference_after_training"] == 0
    assert len(found["loop"]["held_out_coverage"]) == 2
