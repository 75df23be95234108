"""What a model's folder may do to the machine that loads it, and where keys may be seen: nothing and nowhere."""

import ast
import json
import os
import pickle
import sys
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterator
from html import escape
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest

import iterdeploy
from helpers.support import config_with, model_copy, write_config
from iterdeploy.cli.main import main
from iterdeploy.config import ModelConfig
from iterdeploy.models.loading import base_policy, load, model_folder
from iterdeploy.redaction import (
    HIDDEN,
    command_without_keys,
    holds_a_key,
    in_a_message,
    refuse_keys,
    remember,
    without_keys,
)
from iterdeploy.sections import ConfigError
from iterdeploy.types import Policy

FEW = {"generations": 1, "tasks.deployed": 4, "tasks.held_out": 2, "sampling.samples": 1, "curation.policies": ["all"],
       "sampling.max_truncated": 1.0}  # fmt: skip


class Malicious:
    """Pickled, it makes a file when it is loaded."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return (Path.touch, (self.mark,))


def plant(path: Path, mark: Path) -> None:
    path.write_bytes(pickle.dumps(Malicious(mark)))
    pickle.loads(path.read_bytes())
    assert mark.exists(), "the trap works"
    mark.unlink()


def run(tmp_path: Path, overrides: dict[str, object]) -> int:
    path = write_config(tmp_path, {**FEW, **overrides})
    return main(["run", str(path), "--runs-dir", str(tmp_path / "runs")])


# weights


def test_a_model_with_pickled_weights_alone_is_refused_and_they_are_not_loaded(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, mark = model_copy(tmp_path / "model"), tmp_path / "mark"
    (folder / "model.safetensors").unlink()
    plant(folder / "pytorch_model.bin", mark)
    assert run(tmp_path, {"model.name": str(folder)}) == 2
    assert "safetensors" in capsys.readouterr().err
    assert not mark.exists() and not (tmp_path / "runs").exists()


@pytest.mark.slow
def test_pickles_next_to_good_weights_are_never_touched_in_a_whole_run(tmp_path: Path) -> None:
    folder, mark = model_copy(tmp_path / "model"), tmp_path / "mark"
    for name in ("pytorch_model.bin", "adapter_model.bin", "training_args.bin", "optimizer.pt", "tokenizer.pkl"):
        plant(folder / name, mark)
    assert run(tmp_path, {"model.name": str(folder), "training.method": "lora"}) == 0
    assert not mark.exists()
    out = tmp_path / "out"
    assert (
        main(
            ["export", "tiny", "--generation", "1", "--merge", "--to", str(out), "--runs-dir", str(out.parent / "runs")]
        )
        == 0
    )
    assert not mark.exists() and not [path for path in out.iterdir() if path.suffix in (".bin", ".pt", ".pkl")]


def test_an_adapter_whose_weights_were_replaced_by_a_pickle_is_refused(tmp_path: Path) -> None:
    import torch

    mark, adapter = tmp_path / "mark", tmp_path / "adapter"
    adapter.mkdir()
    base = base_policy(model_folder(ModelConfig()))
    settings = {"peft_type": "LORA", "r": 2, "target_modules": ["q_proj"], "task_type": "CAUSAL_LM"}
    (adapter / "adapter_config.json").write_text(json.dumps(settings))
    plant(adapter / "adapter_model.bin", mark)
    policy = Policy("x", 1, base.base_model, str(adapter), True, base.id, None)
    with pytest.raises(ConfigError, match="safetensors"):
        load(policy, ModelConfig(threads=1, device="cpu"), torch.float32)
    assert not mark.exists()


def test_the_source_unpickles_nothing() -> None:
    """torch.load is for our own checkpoints and takes tensors alone; nobody imports pickle or the like."""
    loads = []
    for path in sorted(Path(iterdeploy.__file__).parent.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = {alias.name for alias in node.names} | {getattr(node, "module", None)}
                assert not names & {"pickle", "dill", "joblib", "cloudpickle", "marshal", "shelve"}, path
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "torch.load":
                loads.append(path.name)
                assert any(word.arg == "weights_only" and ast.unparse(word.value) == "True" for word in node.keywords)
    assert loads, "the walk sees the calls that are there"


# code that comes with a model

CODE = """
from pathlib import Path
from transformers import LlamaConfig, LlamaForCausalLM

Path({mark!r}).touch()

class OddConfig(LlamaConfig):
    model_type = "odd"

class OddForCausalLM(LlamaForCausalLM):
    config_class = OddConfig
"""


@pytest.fixture
def odd(tmp_path: Path) -> Iterator[Path]:
    """A model that needs Python code of its own, which makes the file `mark`."""
    folder = model_copy(tmp_path / "odd")
    (folder / "modeling_odd.py").write_text(CODE.format(mark=str(tmp_path / "mark")))
    config = json.loads((folder / "config.json").read_text())
    names = {"AutoConfig": "modeling_odd.OddConfig", "AutoModelForCausalLM": "modeling_odd.OddForCausalLM"}
    config |= {"model_type": "odd", "architectures": ["OddForCausalLM"], "auto_map": names}
    (folder / "config.json").write_text(json.dumps(config))
    yield folder
    for name in [name for name in sys.modules if "modeling_odd" in name]:
        del sys.modules[name]


def test_code_of_a_model_does_not_run_unless_the_configuration_says_so(
    odd: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for command in ([], ["--dry-run"]):
        path = write_config(tmp_path, {**FEW, "model.name": str(odd)})
        assert main(["run", str(path), "--runs-dir", str(tmp_path / "runs"), *command]) == 2
        assert "model.trust_remote_code" in capsys.readouterr().err
    assert not (tmp_path / "mark").exists() and not (tmp_path / "runs").exists()


@pytest.mark.slow
def test_code_that_ran_is_warned_of_and_recorded(
    odd: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(sys, "path", list(sys.path))
    assert run(tmp_path, {"model.name": str(odd), "model.trust_remote_code": True}) == 0
    assert (tmp_path / "mark").exists()
    assert "modeling_odd.py" in capsys.readouterr().err
    folder = tmp_path / "runs" / "tiny"
    (call,) = json.loads((folder / "provenance.json").read_text())["calls"]
    from hashlib import sha256

    digest = sha256((odd / "modeling_odd.py").read_bytes()).hexdigest()
    assert call["remote_code"] == {"modeling_odd.py": digest}
    assert f"modeling_odd.py (SHA-256 {digest[:16]})" in (folder / "report.html").read_text()


def test_a_run_without_such_code_records_none(finished: Path) -> None:
    (call,) = json.loads((finished / "provenance.json").read_text())["calls"]
    assert "remote_code" not in call
    assert "trust_remote_code says" not in (finished / "report.html").read_text()


# keys

KEY = "zq81-not-a-known-form-77"


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("sk-abcdefghijklmnop", HIDDEN),
        ("key hf_abcdefghijklmnopqrst.", f"key {HIDDEN}."),
        ("Authorization: Bearer abc.def", f"Authorization: Bearer {HIDDEN}"),
        ("http://me:pass@host/v1", f"http://{HIDDEN}@host/v1"),
        ("http://host/v1?api_key=abc", f"http://host/v1?api_key={HIDDEN}"),
        (f"x={KEY}!", f"x={HIDDEN}!"),
        ("--set training.tokens_per_batch=512", "--set training.tokens_per_batch=512"),
        ("--set server.key_variable=MY_API_KEY", "--set server.key_variable=MY_API_KEY"),
        ("task-based risk-free mask-1234567890123", "task-based risk-free mask-1234567890123"),
        ("http://host:8000/v1", "http://host:8000/v1"),
    ],
)
def test_what_looks_like_a_key_is_hidden_and_nothing_else_is(text: str, seen: str) -> None:
    assert without_keys(text, {"MY_API_KEY": KEY, "HOME_TOKEN": "short", "PATH": "/usr/bin:/bin"}) == seen


@pytest.mark.parametrize("key", ["abcd", 'né "k"/=+& <x>', "k" * 41, "EMPTY", "a\\b'c d"])
def test_a_key_that_was_read_is_hidden_however_it_is_written_and_whatever_its_variable_is_called(key: str) -> None:
    remember(key)
    forms = [key, json.dumps(key)[1:-1], repr(key)[1:-1], quote(key), quote(key, safe=""), quote_plus(key), escape(key)]
    for form in forms:
        assert without_keys(f"<{form}>", {}) == f"<{HIDDEN}>"
    for before in ("", "x", "xy", "Bearer ", "me:"):
        for encode in (b64encode, urlsafe_b64encode):
            shown = without_keys(encode(f"{before}{key}".encode()).decode(), {})
            assert HIDDEN in shown and len(shown) <= len(HIDDEN) + 4 + 4 * len(before) / 3
    assert holds_a_key(f"x{key}x") == (len(key) >= 8), "a short one may be any word"


def test_what_another_program_says_is_quoted_without_keys_in_one_short_line() -> None:
    key = remember("a key/of-mine 5511")
    for text in (key, "\0".join(key), f"{'x' * 295}{key}", f"\x1b[31m{key}\r\n\u202e"):
        shown = in_a_message(text)
        assert shown.isprintable() and "5511" not in shown and "a key" not in shown and len(shown) <= 304
    assert in_a_message("one\n  two\tthree") == "one two three"


def test_the_word_after_an_option_for_a_key_is_hidden() -> None:
    assert command_without_keys(["x", "--api-key", "abc", "--key=def", "token"], {}) == [
        "x", "--api-key", HIDDEN, f"--key={HIDDEN}", "token",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("description", "run with sk-abcdefghijklmnop"),
        ("server.arguments", ["--api-key", "abcdef"]),
        ("tracking.project", KEY),
    ],
)
def test_a_configuration_that_holds_a_key_is_refused_without_showing_it(
    tmp_path: Path, key: str, value: object, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SOME_SECRET", KEY)
    assert run(tmp_path, {key: value}) == 2
    told = capsys.readouterr().err
    assert key in told and "environment variable" in told
    assert not any(word in told for word in ("abcdef", KEY)) and not (tmp_path / "runs").exists()


def test_an_ordinary_configuration_holds_none() -> None:
    refuse_keys(config_with(), os.environ)


@pytest.mark.slow
def test_keys_in_the_environment_or_on_the_command_line_are_in_no_file_and_in_no_output(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    for name in ("OPENAI_API_KEY", "ITERDEPLOY_API_KEY", "WANDB_API_KEY", "HF_TOKEN"):
        monkeypatch.setenv(name, KEY)
    monkeypatch.setattr(sys, "argv", ["iterdeploy", "run", "--api-key", "other-secret", f"--note={KEY}"])
    assert run(tmp_path, {}) == 0
    assert main(["status", "tiny", "--json", "--runs-dir", str(tmp_path / "runs")]) == 0
    for what in ("--traces", "--generation=1"):
        to = str(tmp_path / f"out{what}")
        assert main(["export", "tiny", what, "--to", to, "--runs-dir", str(tmp_path / "runs")]) == 0
    told = capfd.readouterr()
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) > 10
    for content in (*(path.read_bytes() for path in files), told.out.encode(), told.err.encode()):
        assert KEY.encode() not in content and b"other-secret" not in content
    (call,) = json.loads((tmp_path / "runs" / "tiny" / "provenance.json").read_text())["calls"]
    assert call["command"] == ["iterdeploy", "run", "--api-key", HIDDEN, f"--note={HIDDEN}"]


def test_a_key_in_a_value_that_is_refused_is_not_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(write_config(tmp_path))
    assert main(["run", path, "--dry-run", "--set", "server.address=https://me:hunter22@host/v1"]) == 2
    told = capsys.readouterr().err
    assert "server.address" in told and "hunter22" not in told
