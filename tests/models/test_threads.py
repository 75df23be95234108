"""Where the configuration leaves the number of threads open, the faster one is found once for each run."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from helpers.support import MODEL, config_with, iterdeploy, run_facts, write_config
from iterdeploy.config import ModelConfig
from iterdeploy.models import threads
from iterdeploy.models.loading import embedded_models
from iterdeploy.record.files import read_json

FOLDER = embedded_models()[MODEL]
OPEN = ModelConfig(threads=0, device="cpu")


def fast_with(best: int) -> Callable[[object], Callable[[int], float]]:
    """As if every other number took twice as long."""
    return lambda model: lambda count: 1.0 if count == best else 2.0


@pytest.fixture
def torch_with_four_threads() -> object:
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(4)
    yield torch
    torch.set_num_threads(before)


@pytest.mark.parametrize("best", [1, 4])
def test_the_faster_number_is_taken(
    torch_with_four_threads: object, monkeypatch: pytest.MonkeyPatch, best: int
) -> None:
    monkeypatch.setattr(threads, "timed", fast_with(best))
    assert threads.settle(OPEN, FOLDER) == best
    assert torch_with_four_threads.get_num_threads() == best  # type: ignore[attr-defined]


def test_one_slow_moment_decides_nothing() -> None:
    moments = iter([9.0, 1.0, 0.5, 1.0, 0.5, 1.0])
    assert threads.faster(lambda count: next(moments), 8) == 1


def test_a_number_that_is_known_or_configured_is_not_measured(
    torch_with_four_threads: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(threads, "timed", lambda model: pytest.fail("there is nothing to find out"))
    assert threads.settle(OPEN, FOLDER, known=3) == 3
    assert torch_with_four_threads.get_num_threads() == 3  # type: ignore[attr-defined]
    assert threads.settle(OPEN.model_copy(update={"threads": 2}), FOLDER) is None


def test_a_real_model_is_timed(torch_with_four_threads: object) -> None:
    assert threads.settle(OPEN, FOLDER) in (1, 4)


def test_what_was_found_holds_before_torch_is_loaded() -> None:
    code = f"""
from pathlib import Path
from iterdeploy.config import ModelConfig
from iterdeploy.models.threads import settle
assert settle(ModelConfig(threads=0, device="cpu"), Path({str(FOLDER)!r}), known=1) == 1
import torch
print(torch.get_num_threads())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "1\n"


@pytest.mark.slow
def test_a_run_records_the_number_and_keeps_it_when_it_goes_on(tmp_path: Path) -> None:
    config, runs = write_config(tmp_path, {"model.threads": 0, "generations": 1}), tmp_path / "runs"
    assert config_with({"model.threads": 0}).model.threads == 0
    assert iterdeploy("run", config, "--runs-dir", runs).returncode == 0
    (first,) = read_json(runs / "tiny" / "provenance.json")["calls"]
    facts = run_facts(runs / "tiny")
    (runs / "tiny" / "generation-1" / "metrics.json").unlink()
    assert iterdeploy("resume", "tiny", "--runs-dir", runs).returncode == 0
    _, second = read_json(runs / "tiny" / "provenance.json")["calls"]
    assert first["threads"] >= 1 and "threads" not in second, "the first call's number holds"
    assert run_facts(runs / "tiny") == facts
    assert iterdeploy("resume", "tiny", "--runs-dir", runs).returncode == 0
    assert "threads" not in read_json(runs / "tiny" / "provenance.json")["calls"][-1].get("facts", {}), (
        "nothing was left"
    )
