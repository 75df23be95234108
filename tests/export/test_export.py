"""What is taken away: models that other programs load as they were measured, and traces that `datasets` reads."""

import base64
import json
import shutil
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from helpers.reports import make_run
from helpers.support import TINY_ANSWERS, assert_refused, file_hashes, iterdeploy, write_config
from iterdeploy.cli.main import main
from iterdeploy.config import ModelConfig
from iterdeploy.export import ExportError, make_folder, traces
from iterdeploy.export.model import policy_of
from iterdeploy.models.loading import load
from iterdeploy.record.files import read_json
from iterdeploy.record.run_dir import RunDir
from iterdeploy.record.store import TraceStore
from iterdeploy.types import Policy, Split

PROMPTS = [[5, 6, 7, 8], [9, 3, 12, 40]]


@pytest.fixture(scope="module")
def lora(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of one generation whose policy is an adapter."""
    folder = tmp_path_factory.mktemp("lora")
    overrides = {"generations": 1, "tasks.deployed": 6, "tasks.held_out": 2, "sampling.samples": 1}
    config = write_config(folder, {**overrides, "training.method": "lora", "training.learning_rate": 5e-3}, "adapted")
    assert main(["run", str(config), "--runs-dir", str(folder)]) == 0
    return folder / "adapted"


def export(run: Path, to: Path, *options: object) -> int:
    return main(["export", run.name, "--runs-dir", str(run.parent), "--to", str(to), *map(str, options)])


def logits(model: Any) -> Any:
    import torch

    with torch.no_grad():
        return model.eval()(input_ids=torch.tensor(PROMPTS)).logits


def policy(run: Path, generation: int) -> Policy:
    return policy_of(RunDir.read(run), generation)


def run_logits(run: Path, generation: int) -> Any:
    import torch

    return logits(load(policy(run, generation), ModelConfig(threads=1, device="cpu"), torch.float32).model)


def test_a_generation_with_full_weights_is_loaded_by_transformers_as_it_was(finished: Path, tmp_path: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    out = tmp_path / "model"
    assert export(finished, out, "--generation", 2) == 0
    model = AutoModelForCausalLM.from_pretrained(out, dtype=torch.float32, local_files_only=True)
    assert torch.equal(logits(model), run_logits(finished, 2))
    assert AutoTokenizer.from_pretrained(out, local_files_only=True)("blocksworld")["input_ids"]
    names = {path.name for path in out.iterdir()}
    assert {"config.json", "model.safetensors", "tokenizer.json", "README.md"} <= names
    assert not names & {"policy.json", "training.json"}
    assert not [name for name in names if name.endswith((".bin", ".pt", ".pkl"))]


@pytest.mark.slow
def test_an_adapter_is_loaded_by_peft_and_merged_it_is_the_model_that_sampled(lora: Path, tmp_path: Path) -> None:
    import torch
    from peft import AutoPeftModelForCausalLM
    from transformers import AutoModelForCausalLM

    assert export(lora, tmp_path / "adapter", "--generation", 1) == 0
    assert export(lora, tmp_path / "whole", "--generation", 1, "--merge") == 0
    sampled = run_logits(lora, 1)
    merged = AutoModelForCausalLM.from_pretrained(tmp_path / "whole", dtype=torch.float32, local_files_only=True)
    assert torch.equal(logits(merged), sampled)
    adapted = AutoPeftModelForCausalLM.from_pretrained(tmp_path / "adapter", dtype=torch.float32)
    assert torch.allclose(logits(adapted), sampled, atol=1e-4)
    base = AutoModelForCausalLM.from_pretrained(policy(lora, 1).base_model, dtype=torch.float32)
    assert not torch.allclose(logits(base), sampled, atol=1e-2), "the adapter changes something"
    assert (tmp_path / "adapter" / "adapter_model.safetensors").exists()
    assert (tmp_path / "adapter" / "tokenizer.json").exists()
    assert not (tmp_path / "adapter" / "model.safetensors").exists()
    assert not (tmp_path / "whole" / "adapter_config.json").exists()


@pytest.mark.slow
def test_the_adapter_s_base_model_has_the_name_that_it_is_given(lora: Path, tmp_path: Path) -> None:
    assert export(lora, tmp_path / "a", "--generation", 1, "--base", "somebody/model") == 0
    assert read_json(tmp_path / "a" / "adapter_config.json")["base_model_name_or_path"] == "somebody/model"
    header = yaml.safe_load((tmp_path / "a" / "README.md").read_text().split("---")[1])
    assert header["base_model"] == "somebody/model" and header["library_name"] == "peft"


def test_the_card_has_lineage_digests_and_what_was_measured(finished: Path, tmp_path: Path) -> None:
    assert export(finished, tmp_path / "model", "--generation", 2) == 0
    card = (tmp_path / "model" / "README.md").read_text()
    for generation in (0, 1):
        folder = finished / f"generation-{generation}"
        made, pool = read_json(folder / "policy" / "policy.json"), read_json(folder / "curated.json")
        assert made["curated_digest"] == pool["digest"]
        row = f"| {generation + 1} | {made['id']} | {made['parent_id']} | {len(pool['weights'])} | {pool['digest']} |"
        assert row in card
    for generation in (0, 2):
        held_out = read_json(finished / f"generation-{generation}" / "metrics.json")["held_out"]
        assert f"| {generation} | 6 held out | {held_out['coverage']:.1%} | {held_out['interval'][0]:.1%} to" in card
    assert str(finished) not in card and "base_model:" not in card


def test_a_generation_that_is_trained_but_not_measured_says_so(finished_copy: Path, tmp_path: Path) -> None:
    (finished_copy / "generation-2" / "metrics.json").unlink()
    assert export(finished_copy, tmp_path / "model", "--generation", 2) == 0
    assert "not measured yet" in (tmp_path / "model" / "README.md").read_text()


@pytest.mark.parametrize(("generation", "told"), [(0, "base model as it is"), (3, "it has 1, 2")])
def test_a_generation_that_was_not_trained_is_refused(
    finished: Path, tmp_path: Path, generation: int, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert export(finished, tmp_path / "model", f"--generation={generation}") == 2
    assert told in capsys.readouterr().err and not list(tmp_path.iterdir())


@pytest.mark.parametrize("what", [("--generation", "1"), ("--traces",)])
def test_a_folder_with_something_in_it_is_left_as_it_is(
    finished: Path, tmp_path: Path, what: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "note").write_text("keep")
    (tmp_path / "file").write_text("keep")
    before = file_hashes(tmp_path)
    for name in ("mine", "file"):
        assert export(finished, tmp_path / name, *what) == 2
        assert "not an empty folder" in capsys.readouterr().err
    assert file_hashes(tmp_path) == before
    (tmp_path / "empty").mkdir()
    assert export(finished, tmp_path / "empty", *what) == 0 and list((tmp_path / "empty").iterdir())


def test_an_export_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def fill(out: Path) -> None:
        (out / "half").write_text("x")
        raise ExportError("no")

    for target in ("out", "to/be/made"):
        with pytest.raises(ExportError):
            make_folder(tmp_path / target, fill)
        assert not list(tmp_path.iterdir())


def test_what_lies_next_to_an_export_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "unfinished-out").mkdir()
    (tmp_path / "unfinished-out" / "thesis.tex").write_text("years of work")
    make_folder(tmp_path / "out", lambda out: (out / "new").write_text("x"))
    assert {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.*")} == {"unfinished-out/thesis.tex"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "unfinished-out"]


def test_the_current_folder_is_refused_for_an_export(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    for target in (Path("."), tmp_path / "here", Path("../here")):
        with pytest.raises(ExportError, match="the current folder"):
            make_folder(target, lambda out: (out / "new").write_text("x"))
    assert [path.name for path in tmp_path.rglob("*")] == ["here"]
    (tmp_path / "there").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "there")
    make_folder(tmp_path / "link", lambda out: (out / "new").write_text("x"))
    assert (tmp_path / "link").is_symlink() and (tmp_path / "there" / "new").read_text() == "x"


# traces


def stored(run: Path) -> list[dict[str, Any]]:
    store = TraceStore(run / "traces.sqlite", read_only=True)
    found = [
        {
            "id": one.id,
            "token_ids": list(one.completions[0].token_ids),
            "prompt_token_ids": list(one.completions[0].prompt_token_ids),
            "logprobs": list(one.completions[0].logprobs or ()),
            "text": one.completions[0].text,
            "status": one.verdict.status.value,
            "generation": one.generation,
            "split": one.split.value,
        }
        for one in store.traces()
    ]
    store.close()
    return found


def of_jsonl(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for path in sorted(folder.glob("traces-*.jsonl")) for line in path.open(encoding="utf-8")]


def by_id(rows: Any, columns: Any) -> dict[str, dict[str, Any]]:
    return {row["id"]: {name: row[name] for name in columns} for row in rows}


def test_the_lines_are_the_store_and_every_column_is_documented(finished: Path, tmp_path: Path) -> None:
    assert export(finished, tmp_path / "out", "--traces") == 0
    told, wanted = of_jsonl(tmp_path / "out"), stored(finished)
    assert by_id(told, wanted[0]) == by_id(wanted, wanted[0]) and len(told) == 3 * TINY_ANSWERS
    pools = [set(read_json(finished / f"generation-{g}" / "curated.json")["weights"]) for g in range(2)]
    assert all(row["trained"] == [g + 1 for g in range(2) if row["id"] in pools[g]] for row in told)
    assert any(row["trained"] == [1, 2] for row in told)
    card = (tmp_path / "out" / "README.md").read_text()
    assert all(f"| {column} |" in card for row in told for column in row)
    tasks = [json.loads(line) for line in (tmp_path / "out" / "tasks.jsonl").open()]
    assert {row["task_id"] for row in told} == {task["id"] for task in tasks}
    assert all("(define (problem" in json.loads(task["payload"])["problem"] for task in tasks)


def test_datasets_loads_the_folder_with_its_splits(finished: Path, tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    assert export(finished, tmp_path / "out", "--traces") == 0
    assert (tmp_path / "out" / "traces-deployed.parquet").exists()
    found = datasets.load_dataset(str(tmp_path / "out"), cache_dir=str(tmp_path / "cache"))
    assert {name: len(rows) for name, rows in found.items()} == {"deployed": 72, "held_out": 18}
    rows = [row for split in found.values() for row in split]
    lines = of_jsonl(tmp_path / "out")
    assert by_id(rows, lines[0]) == by_id(lines, lines[0])
    tasks = datasets.load_dataset(str(tmp_path / "out"), "tasks", cache_dir=str(tmp_path / "cache"))
    assert len(tasks["tasks"]) == 18


def test_without_pyarrow_there_are_lines_and_datasets_loads_those(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(traces, "find_spec", lambda name: None)
    assert export(finished, tmp_path / "out", "--traces") == 0
    assert "pip install pyarrow" in capsys.readouterr().out
    assert not list((tmp_path / "out").glob("*.parquet"))
    datasets = pytest.importorskip("datasets")
    found = datasets.load_dataset(str(tmp_path / "out"), cache_dir=str(tmp_path / "cache"))
    assert {name: len(rows) for name, rows in found.items()} == {"deployed": 72, "held_out": 18}


def test_rows_are_written_a_few_at_a_time(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    monkeypatch.setattr(traces, "ROWS_AT_ONCE", 7)
    assert export(finished, tmp_path / "rows", "--traces") == 0
    read = parquet.ParquetFile(tmp_path / "rows" / "traces-deployed.parquet").metadata
    assert (read.num_rows, read.num_row_groups) == (72, 11)
    monkeypatch.setattr(traces, "TOKENS_AT_ONCE", 1)
    assert export(finished, tmp_path / "tokens", "--traces") == 0
    assert parquet.ParquetFile(tmp_path / "tokens" / "traces-deployed.parquet").metadata.num_row_groups == 72


def test_a_run_without_held_out_tasks_has_no_such_split(tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    make_run(tmp_path / "runs" / "tiny", [2, 3], tasks=4, splits=[Split.DEPLOYED]).close()
    assert export(tmp_path / "runs" / "tiny", tmp_path / "out", "--traces") == 0
    assert not list((tmp_path / "out").glob("*held_out*"))
    header = yaml.safe_load((tmp_path / "out" / "README.md").read_text().split("---")[1])
    assert [files["split"] for files in header["configs"][0]["data_files"]] == ["deployed"]


@pytest.mark.parametrize("options", [("--traces", "--merge"), ("--traces", "--base", "a/b")])
def test_options_that_make_no_sense_are_refused(finished: Path, tmp_path: Path, options: tuple[str, ...]) -> None:
    assert export(finished, tmp_path / "out", *options) == 2 and not (tmp_path / "out").exists()


# the Hub: the client is real, the server is not


class FakeHub(BaseHTTPRequestHandler):
    """Answers as the Hub does to a small upload, and keeps what it got."""

    repositories: list[dict[str, Any]]
    files: dict[str, bytes]
    keys: set[str | None]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        self.keys.add(self.headers.get("authorization"))
        host = f"http://{self.headers['host']}"
        answer: dict[str, Any] = {}
        if self.path == "/api/repos/create":
            self.repositories.append(json.loads(body))
            kind = "datasets/" if self.repositories[-1]["type"] == "dataset" else ""
            answer = {"url": f"{host}/{kind}me/mine"}
        elif "/preupload/" in self.path:
            names = [file["path"] for file in json.loads(body)["files"]]
            files = [{"path": name, "uploadMode": "regular", "shouldIgnore": False} for name in names]
            answer = {"files": files}
        elif "/commit/" in self.path:
            for line in map(json.loads, body.splitlines()):
                if line["key"] == "file":
                    self.files[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
            answer = {"commitUrl": f"{host}/me/mine/commit/1", "commitOid": "1"}
        data = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST

    def log_message(self, *_: object) -> None:
        """Silent."""


@pytest.fixture
def hub() -> Iterator[tuple[type[FakeHub], dict[str, str]]]:
    """The server's record, and the environment that leads a process to it."""
    import os

    class Hub(FakeHub):
        repositories, files, keys = [], {}, set()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    environment = {key: value for key, value in os.environ.items() if key not in ("HF_HUB_OFFLINE", "HF_TOKEN")}
    address = f"http://127.0.0.1:{server.server_port}"
    yield Hub, {**environment, "HF_ENDPOINT": address, "HF_TOKEN": "hf_notarealkeyatall"}
    server.shutdown()
    server.server_close()


def test_a_push_uploads_the_folder_into_a_private_repository(
    finished: Path, tmp_path: Path, hub: tuple[type[FakeHub], dict[str, str]]
) -> None:
    record, environment = hub
    out = tmp_path / "out"
    where = ("--to", out, "--runs-dir", finished.parent)
    done = iterdeploy("export", "tiny", "--traces", *where, "--push", "me/mine", env=environment)
    assert done.returncode == 0, done.stderr
    (made,) = record.repositories
    assert (made["organization"], made["name"], made["type"]) == ("me", "mine", "dataset")
    assert made.get("visibility") == "private" or made.get("private") is True
    assert record.files == {path.name: path.read_bytes() for path in out.iterdir()}
    assert "Bearer hf_notarealkeyatall" in record.keys
    assert "hf_notarealkey" not in done.stdout + done.stderr
    shutil.rmtree(out)
    environment["HF_ENDPOINT"] = "http://127.0.0.1:9"
    done = iterdeploy("export", "tiny", "--generation", 1, *where, "--push", "me/mine", env=environment)
    assert_refused(done, "is finished, but could not be uploaded")
    assert (out / "model.safetensors").exists()


@pytest.mark.slow
def test_what_cannot_be_pushed_is_refused_before_anything_is_written(
    lora: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_notarealkeyatall")
    for options, told in (
        (("--push", "noowner"), "OWNER/NAME"),
        (("--push", "a/b/c"), "OWNER/NAME"),
        (("--push", "me/mine"), "--base OWNER/NAME"),
    ):
        assert export(lora, tmp_path / "out", "--generation", 1, *options) == 2
        assert told in capsys.readouterr().err
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setenv("HF_TOKEN_PATH", str(tmp_path / "none"))
    monkeypatch.setattr("huggingface_hub.get_token", lambda: None)
    assert export(lora, tmp_path / "out", "--generation", 1, "--push", "me/mine", "--merge") == 2
    assert "hf auth login" in capsys.readouterr().err and not (tmp_path / "out").exists()
