"""Chats from elsewhere: the documented form and two exports, stored once, and trained on."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from helpers.deployments import OPEN_GATE
from helpers.serving import config_of, tasks_of
from helpers.support import assert_refused, iterdeploy, values_with
from iterdeploy.record.run_dir import RunDir
from iterdeploy.record.traffic import Traffic
from iterdeploy.types import Status, Trace

pytestmark = pytest.mark.slow


def write(folder: Path, lines: Sequence[dict[str, Any]]) -> Path:
    path = folder / "log.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


def config(folder: Path) -> Path:
    import tomli_w

    values = values_with({"tasks.deployed": 40, "curation.policies": ["published"], **OPEN_GATE})
    path = folder / "mine.toml"
    path.write_text(tomli_w.dumps(values), encoding="utf-8")
    return path


def test_chats_are_stored_once_with_what_people_said_and_train(tmp_path: Path) -> None:
    prompts = [task.prompt for task in tasks_of(config_of())[:6]]
    turn = {"role": "assistant", "content": "<think> </think> (pickup b1)"}
    lines: list[dict[str, Any]] = [
        {"messages": [{"role": "user", "content": prompts[0]}, turn], "verdict": "publish", "user": "ann"},
        {"messages": [{"role": "user", "content": prompts[1]}, turn], "thumbs": "down"},
        {"input": prompts[2], "output": turn["content"], "scores": [{"name": "stars", "value": 0.9}], "userId": "bob"},
        {"messages": [{"role": "user", "content": prompts[3]}], "choices": [{"message": turn}]},
        {"messages": [{"role": "user", "content": prompts[4]}, turn], "score": 1, "train": False},
        {"messages": [{"role": "user", "content": "unknown"}, turn], "score": 1},
    ]
    file, mine = write(tmp_path, lines), config(tmp_path)
    for said in ("6 chats are stored, 5 of them judged", "0 chats are stored, 0 of them judged; 6 were there"):
        done = iterdeploy("import", "mine", file, "--config", mine, "--runs-dir", tmp_path)
        assert done.returncode == 0 and said in done.stdout, (done.stdout, done.stderr)
    done = iterdeploy("advance", "mine", "--runs-dir", tmp_path)
    assert done.returncode == 0, (done.stdout, done.stderr)
    run_dir = RunDir.read(tmp_path / "mine")
    traces = [trace for trace in run_dir.store.traces() if trace.source.startswith("imported")]
    prompt_of = {trace.id: run_dir.store.task(trace.task_id).prompt for trace in traces}
    pool = run_dir.pool(0)
    assert pool is not None
    assert {prompt_of[trace_id] for trace_id in pool.weights} == {prompts[0], prompts[2], "unknown"}
    assert all(trace.totals.logprob is None and trace.source == "imported (re-tokenised)" for trace in traces)

    def status(prompt: str) -> Status:
        found: Trace = next(trace for trace in traces if prompt_of[trace.id] == prompt)
        return found.verdict.status

    assert status("unknown") is Status.UNJUDGED and status(prompts[0]) in (Status.VALID, Status.INVALID)
    assert {o.user for o in Traffic(run_dir.store).origins()} == {"", "ann", "bob"}
    run_dir.close()


@pytest.mark.parametrize(
    "line",
    [
        {"messages": []},
        {"messages": [{"role": "user", "content": "x"}, {"role": "user", "content": "y"}]},
        {"input": {"x": 1}, "output": "y"},
        ["x"],
    ],
    ids=str,
)
def test_a_line_that_is_no_chat_is_named_and_nothing_is_stored(tmp_path: Path, line: Any) -> None:
    right = {"messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": "y"}]}
    done = iterdeploy(
        "import", "mine", write(tmp_path, [right, line]), "--config", config(tmp_path), "--runs-dir", tmp_path
    )
    assert_refused(done, "line 2")
    run_dir = RunDir.read(tmp_path / "mine")
    assert not list(run_dir.store.traces())
    run_dir.close()
