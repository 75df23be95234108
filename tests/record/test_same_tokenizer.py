"""Stored token ids mean what they meant: a run whose tokenizer has changed does not go on."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from helpers.support import config_with, file_hashes, model_copy, run_of, write_config
from iterdeploy.cli.main import main
from iterdeploy.deployment.served_policy import verified
from iterdeploy.models.loading import base_policy, model_folder
from iterdeploy.record.files import read_json
from iterdeploy.samplers.transformers import TransformersSampler
from iterdeploy.steps.stops import Stopped


def swap_two_words(folder: Path) -> None:
    """A tokenizer of the same size, under which two ids mean each other's words."""
    path = folder / "tokenizer.json"
    tokenizer = json.loads(path.read_text())
    words = tokenizer["model"]["vocab"]
    one, other = list(words)[-2:]
    words[one], words[other] = words[other], words[one]
    path.write_text(json.dumps(tokenizer))


@pytest.mark.slow
def test_a_run_with_another_tokenizer_is_refused_until_the_old_one_is_back(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, runs = model_copy(tmp_path / "model"), tmp_path / "runs"
    few = {"model.name": str(folder), "generations": 0, "tasks.deployed": 2, "tasks.held_out": 0}
    assert main(["run", str(write_config(tmp_path, few)), "--runs-dir", str(runs)]) == 0
    tokenizer = (folder / "tokenizer.json").read_bytes()
    digest = hashlib.sha256(tokenizer).hexdigest()
    assert [call["tokenizer"] for call in read_json(runs / "tiny" / "provenance.json")["calls"]] == [digest]

    swap_two_words(folder)
    before = file_hashes(runs)
    capsys.readouterr()
    assert main(["resume", "tiny", "--runs-dir", str(runs)]) == 2
    told = capsys.readouterr().err
    assert "another tokenizer" in told and digest[:16] in told and str(folder) in told
    assert file_hashes(runs) == before

    (folder / "tokenizer.json").write_bytes(tokenizer)
    assert main(["resume", "tiny", "--runs-dir", str(runs)]) == 0
    assert len(read_json(runs / "tiny" / "provenance.json")["calls"]) == 2


def test_a_run_that_recorded_no_tokenizer_goes_on_and_records_it(
    finished_copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = finished_copy / "provenance.json"
    (call,) = read_json(path)["calls"]
    del call["tokenizer"]
    path.write_text(json.dumps({"calls": [call]}))
    assert main(["resume", "tiny", "--runs-dir", str(finished_copy.parent)]) == 0
    assert ["tokenizer" in call for call in read_json(path)["calls"]] == [False, True]


def test_a_generation_that_was_trained_over_another_tokenizer_answers_nothing(tmp_path: Path) -> None:
    config = config_with()
    base = base_policy(model_folder(config.model))
    parts: Any = SimpleNamespace(base=base, config=config)
    folder = model_copy(tmp_path / "model")
    policy = replace(base, generation=1, base_model=str(folder))
    store: Any = None
    with verified(policy, TransformersSampler(policy, config), [], run_of(parts, store)) as sampler:
        assert sampler.sample(["blocksworld"], 1)
    swap_two_words(folder)
    with (
        pytest.raises(Stopped, match="generation 1: its tokenizer") as caught,
        verified(policy, TransformersSampler(policy, config), [], run_of(parts, store)),
    ):
        pass
    assert caught.value.state == "other_tokenizer" and str(folder) in str(caught.value)
