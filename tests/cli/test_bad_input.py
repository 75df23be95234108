"""What a user gets wrong: one paragraph that names file and key, exit status 2, before a model is loaded."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from helpers.support import HEAVY, assert_refused, file_hashes, iterdeploy, model_copy, watched, write_config
from iterdeploy.record import schema

Write = Callable[..., Path]
Spoil = Callable[[Path], object]


def refused_early(folder: Path, config: object, *words: str, extra: tuple[object, ...] = ()) -> None:
    """`run` refuses, and has imported nothing heavy and written nothing."""
    before = file_hashes(folder)
    done, packages = watched("run", config, "--runs-dir", folder / "runs", *extra)
    assert_refused(done, *words)
    assert not packages & (set(HEAVY) - {"numpy"}), packages & set(HEAVY)
    assert file_hashes(folder) == before and not (folder / "runs").exists()


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ({"sampling.nonsense": 50}, ["tiny.toml", "sampling.nonsense", "no such key"]),
        ({"generations": "five"}, ["tiny.toml", "generations", "'five'"]),
        ({"training": None}, ["tiny.toml", "training", "required"]),
        ({"tasks.sizes": "4-2"}, ["tiny.toml", "tasks.sizes", "4-2"]),
        ({"tasks.sizes": "1-2"}, ["tasks.sizes", "1-2", "2 blocks"]),
        ({"tasks.kind": "riddles"}, ["tasks.kind", "riddles", "planning"]),
        ({"tasks.domains": ["blocksworld", "chess"]}, ["tasks.domains", "chess", "blocksworld"]),
        ({"tasks.deployed": 60_000}, ["tasks.deployed", "not enough"]),
        ({"sampling.sampler": "oracle"}, ["sampling.sampler", "oracle", "transformers"]),
        ({"curation.policies": ["valid", "best"]}, ["curation.policies", "best", "best_per_task"]),
        ({"curation.policies": []}, ["curation.policies"]),
        ({"model.name": "gpt-7"}, ["model.name", "gpt-7", "blocksworld-1m"]),
        ({"sampling.max_new_tokens": 5000}, ["sampling.max_new_tokens", "4096", "5000"]),
        ({"tasks.sizes": "400", "tasks.deployed": 1, "tasks.held_out": 0}, ["tasks.sizes", "4096"]),
    ],
)
def test_a_configuration_that_cannot_work_is_refused_before_anything_is_loaded(
    tiny_config: Write, tmp_path: Path, overrides: dict[str, Any], words: list[str]
) -> None:
    refused_early(tmp_path, tiny_config(overrides), *words)


def test_missing_files_and_names_and_files_that_are_no_toml(tmp_path: Path) -> None:
    refused_early(tmp_path, tmp_path / "none.toml", "none.toml", "no such file")
    refused_early(tmp_path, "quickstrat", "quickstrat", "quickstart")
    (tmp_path / "broken.toml").write_text("[tasks\n")
    refused_early(tmp_path, tmp_path / "broken.toml", "broken.toml", "not valid TOML")
    (tmp_path / "binary.toml").write_bytes(b"\xff\x00")
    refused_early(tmp_path, tmp_path / "binary.toml", "binary.toml", "UTF-8")


def test_a_bad_override_is_refused(tiny_config: Write, tmp_path: Path) -> None:
    config = tiny_config()
    refused_early(tmp_path, config, "training.epochs", extra=("--set", "training.epochs=none"))
    refused_early(tmp_path, config, "key=value", extra=("--set", "training.epochs"))


def without(name: str) -> Spoil:
    return lambda folder: (folder / name).unlink()


def with_text(name: str, text: str) -> Spoil:
    return lambda folder: (folder / name).write_text(text)


def small_context(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "max_position_embeddings": 100}))


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (without("config.json"), ["model.name", "mine", "config.json"]),
        (without("tokenizer.json"), ["model.name", "mine", "tokenizer.json"]),
        (without("model.safetensors"), ["model.name", "mine", ".safetensors"]),
        (with_text("config.json", "{"), ["model.name", "mine", "config.json"]),
        (with_text("config.json", "[]"), ["model.name", "mine", "config.json"]),
        (with_text("tokenizer.json", "{}"), ["model.name", "mine", "tokenizer.json"]),
        (small_context, ["sampling.max_new_tokens", "100 tokens"]),
    ],
)
def test_a_model_folder_that_is_not_one_is_refused_before_anything_is_loaded(
    tiny_config: Write, tmp_path: Path, spoil: Spoil, words: list[str]
) -> None:
    spoil(model_copy(tmp_path / "mine"))
    refused_early(tmp_path, tiny_config({"model.name": str(tmp_path / "mine")}), *words)


def test_weights_in_another_format_are_never_unpickled(tiny_config: Write, tmp_path: Path) -> None:
    folder = model_copy(tmp_path / "mine")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    refused_early(tmp_path, tiny_config({"model.name": str(folder)}), ".safetensors")


@pytest.mark.parametrize(
    "content", [b"", b"not weights at all", b"\xff" * 5000, (8).to_bytes(8, "little") + b"[1, 2]  "]
)
def test_weights_that_are_damaged_are_named(tiny_config: Write, tmp_path: Path, content: bytes) -> None:
    folder = model_copy(tmp_path / "mine")
    (folder / "model.safetensors").write_bytes(content)
    refused_early(tmp_path, tiny_config({"model.name": str(folder)}), "model.name", str(folder / "model.safetensors"))


def test_weights_that_are_cut_short_are_named(tiny_config: Write, tmp_path: Path) -> None:
    folder = model_copy(tmp_path / "mine")
    whole = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(whole[: len(whole) // 2])
    refused_early(tmp_path, tiny_config({"model.name": str(folder)}), "model.name", str(folder / "model.safetensors"))


def spoilt_run(finished_copy: Path, spoil: Spoil) -> dict[str, str]:
    (finished_copy / "traces.sqlite-wal").unlink(missing_ok=True)
    (finished_copy / "traces.sqlite-shm").unlink(missing_ok=True)
    spoil(finished_copy / "traces.sqlite")
    return {name: digest for name, digest in file_hashes(finished_copy).items() if name != "lock"}


def another_schema(path: Path) -> None:
    import sqlite3

    sql = sqlite3.connect(path)
    sql.execute("UPDATE meta SET value = ? WHERE key = 'schema'", [str(schema.VERSION + 1)])
    sql.commit()
    sql.close()


@pytest.mark.parametrize(
    ("spoil", "word"),
    [(another_schema, f"schema version {schema.VERSION + 1}"), (lambda path: path.write_text("x" * 5000), "not a")],
)
def test_a_store_of_another_version_or_kind_is_refused_and_nothing_of_the_run_is_touched(
    finished_copy: Path, spoil: Spoil, word: str
) -> None:
    before = spoilt_run(finished_copy, spoil)
    config = write_config(finished_copy.parent.parent)
    for command in (["run", config], ["resume", "tiny"], ["status", "tiny"], ["traces", "tiny"], ["report", "tiny"]):
        done, packages = watched(*command, "--runs-dir", finished_copy.parent)
        assert_refused(done, str(finished_copy / "traces.sqlite"), word)
        assert not packages & {"torch", "transformers"}
        after = file_hashes(finished_copy)
        assert {name: after[name] for name in before} == before, command


def test_a_damaged_saved_configuration_is_named(finished_copy: Path) -> None:
    (finished_copy / "config.toml").write_text("seed = 'x'\nfly = true\n")
    for command in ("resume", "status"):
        done = iterdeploy(command, "tiny", "--runs-dir", finished_copy.parent)
        assert_refused(done, str(finished_copy / "config.toml"), "fly", "seed")


def test_a_runs_folder_that_cannot_be_made_is_named(tiny_config: Write, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("I am a file")
    assert_refused(iterdeploy("run", tiny_config(), "--runs-dir", tmp_path / "file"), str(tmp_path / "file"))


def test_a_folder_that_holds_something_else_is_left_alone(tiny_config: Write, tmp_path: Path) -> None:
    (tmp_path / "runs" / "tiny").mkdir(parents=True)
    (tmp_path / "runs" / "tiny" / "thesis.tex").write_text("years of work")
    assert_refused(iterdeploy("run", tiny_config(), "--runs-dir", tmp_path / "runs"), "not a run", "--name")
    assert [path.name for path in (tmp_path / "runs" / "tiny").iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ("demonstrations.sizes={chess = [2]}", "blocksworld"),
        ("demonstrations.flawed=1.5", "demonstrations.flawed"),
        ("optimiser.learning=1", "optimiser.learning"),
        ("demonstrations.sizes={blocksworld = [1]}", "2 blocks"),
        ("demonstrations.sizes={}", "blocksworld, rovers, sokoban"),
        ("architecture.heads=3", "architecture"),
        ("optimiser.epochs=1", "demonstrations.count: "),
    ],
)
def test_a_bad_pretraining_configuration_is_refused(tmp_path: Path, change: str, word: str) -> None:
    command = ["pretrain", "pretrain-blocksworld", "--out", tmp_path / "out", "--set", "demonstrations.count=10"]
    assert_refused(iterdeploy(*command, "--set", change), word)


def test_a_folder_that_holds_something_else_is_not_pretrained_in(tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "unfinished-model").write_text("years of work")
    done = iterdeploy("pretrain", "pretrain-blocksworld", "--out", tmp_path / "thesis")
    assert_refused(done, "not belong to a pretraining", "--out")
    assert file_hashes(tmp_path).keys() == {"thesis/unfinished-model"}
