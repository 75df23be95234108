"""Other people's task sets, policies and features: found, checked, judged in processes that may hang or die."""

import json
from pathlib import Path
from typing import Any

import pytest

from helpers.support import assert_refused, iterdeploy, values_with, write_config
from iterdeploy import Completion, Status, Task
from iterdeploy.config import RunConfig
from iterdeploy.config_file import load_config
from iterdeploy.curation.named import CurationError, find_policies
from iterdeploy.sections import ConfigError
from iterdeploy.tasks import task_set
from iterdeploy.tasks.judging import ProcessJudges

TASKS = '''
import os, time
from pydantic import BaseModel
from iterdeploy import Task, Verdict

class Echo:
    """Say the word."""

    class Options(BaseModel, extra="forbid"):
        words: int = 3

    def __init__(self, options, seed):
        self.words = options.words
        self.held_out = [self.task("held_out", i) for i in range(2)]

    def task(self, split, index):
        return Task.make(domain="echo", size=1, split=split, prompt=f"{split} {index}", payload={"word": str(index)})

    def deployed(self, generation):
        twice = self.task("deployed", 0)
        return [twice, twice, *(self.task("deployed", i) for i in range(self.words))]

    def judge(self, task, completions):
        text = completions[-1].text
        if text == "hang":
            time.sleep(60)
        if text == "die":
            os._exit(7)
        if text == "raise":
            raise ValueError("no idea")
        if text == "none":
            return None
        if text == "nan":
            return Verdict.valid(reward=float("nan"))
        return Verdict.valid(answer=text) if text == task.payload["word"] else Verdict.invalid(f"not {text!r}")

def shortest(traces):
    return sorted(traces, key=lambda weighted: len(weighted.trace.text))[:2]

shortest.asks_for = {"answer_tokens": -1}

def invents(traces):
    return ["nothing"]

def length(trace):
    return float(len(trace.text))
'''


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "mine.py").write_text(TASKS)
    return tmp_path


def config_of(folder: Path, **changes: Any) -> RunConfig:
    values = values_with({"tasks": None})
    values["tasks"] = {"kind": f"{folder / 'mine.py'}:Echo", **changes.pop("tasks", {})}
    return RunConfig.model_validate({**values, **changes})


def said(text: str, reason: str = "stop") -> list[Completion]:
    return [Completion(text, (1,), (2, 0), None, reason, 0)]


def test_tasks_come_once_each_and_options_are_checked(folder: Path) -> None:
    tasks = task_set(config_of(folder, tasks={"options": {"words": 2}}))
    assert [task.prompt for task in tasks.deployed(0)] == ["deployed 0", "deployed 1"]
    assert [task.split for task in tasks.held_out] == ["held_out"] * 2
    with pytest.raises(ConfigError, match=r"tasks\.options\.words"):
        task_set(config_of(folder, tasks={"options": {"words": "many"}}))
    with pytest.raises(ConfigError, match=r"tasks\.options\.other"):
        task_set(config_of(folder, tasks={"options": {"other": 1}}))
    with pytest.raises(ConfigError, match=r"tasks\.sizes: cannot be used with tasks\.kind"):
        task_set(config_of(folder, tasks={"sizes": "7"}))


def test_a_verifier_that_hangs_dies_or_errs_is_an_error_of_that_answer_alone(folder: Path) -> None:
    config = config_of(folder, validation={"timeout": 3.0, "processes": 2})
    task = task_set(config).deployed(0)[1]
    texts = ["1", "hang", "0", "die", "raise", "none", "nan", "1"]
    with ProcessJudges(config) as judges:
        found = judges.replies([(task, said(text)) for text in texts])
        (cut,) = judges.replies([(task, said("1", "length"))])
    valid, invalid, error = Status.VALID, Status.INVALID, Status.ERROR
    assert [verdict.status for verdict in found] == [valid, error, invalid, error, error, error, error, valid]
    assert (found[0].answer, found[0].reward, found[2].reason) == ("1", 1.0, "not '0'")
    for place, words in ((1, "3 seconds"), (3, "exit status 7"), (4, "no idea"), (5, "not a Verdict"), (6, "finite")):
        assert words in found[place].reason
    assert cut.status is Status.TRUNCATED


def test_what_is_held_out_is_never_deployed(folder: Path) -> None:
    (folder / "leak.py").write_text(TASKS.replace('prompt=f"{split} {index}"', 'prompt=f"{index}"'))
    values = values_with({"tasks": None})
    values["tasks"] = {"kind": f"{folder / 'leak.py'}:Echo"}
    tasks = task_set(RunConfig.model_validate(values))
    assert [task.prompt for task in tasks.deployed(0)] == ["2"]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("mine.py:Nothing", "it defines"),
        ("gone.py:Echo", "cannot be read"),
        ("nowhere.at.all:Echo", "cannot be imported"),
        ("mine.py:length", "fails when it is made"),
    ],
)
def test_what_is_not_a_task_set_is_refused_with_the_reason(folder: Path, name: str, words: str) -> None:
    values = values_with({"tasks": None})
    values["tasks"] = {"kind": str(folder / name) if ".py" in name else name}
    with pytest.raises(ConfigError, match=words):
        task_set(RunConfig.model_validate(values))


def test_policies_and_features_of_your_own(folder: Path) -> None:
    from helpers.support import trace, weighed

    traces = weighed([trace("a"), trace("bb"), trace("ccc")])
    (shortest,) = find_policies([f"{folder / 'mine.py'}:shortest"])
    assert [kept.trace.task_id for kept in shortest(traces)] == ["a", "bb"]
    assert shortest.asks_for == {"answer_tokens": -1}
    (prefers,) = find_policies([f"prefer({folder / 'mine.py'}:length, 100)"])
    assert len(prefers(traces)) == 3, "all are longer than half a character"
    (invents,) = find_policies([f"{folder / 'mine.py'}:invents"])
    with pytest.raises(CurationError, match="some of the weighted traces"):
        invents(traces)


@pytest.mark.slow
def test_a_whole_run_from_any_folder_and_resumed(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    config = write_config(folder, {"tasks": None, "curation.policies": ["all", "mine.py:shortest"], "generations": 1,
                                   "sampling.max_new_tokens": 5, "sampling.max_truncated": 1.0})  # fmt: skip
    config.write_text(config.read_text() + '\n[tasks]\nkind = "mine.py:Echo"\n')
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    done = iterdeploy("run", config, "--runs-dir", folder / "runs", cwd=elsewhere)
    assert done.returncode == 0, done.stderr
    pool = json.loads((folder / "runs" / "tiny" / "generation-0" / "curated.json").read_text())
    assert len(pool["weights"]) == 2
    again = iterdeploy("resume", "tiny", "--runs-dir", folder / "runs", cwd=elsewhere)
    assert again.returncode == 0, again.stderr
    assert load_config(folder / "runs" / "tiny" / "config.toml").tasks.kind == f"{folder / 'mine.py'}:Echo"
    (folder / "mine.py").write_text("class Echo: pass\n")
    assert_refused(iterdeploy("run", config, "--runs-dir", folder / "runs", "--name", "other"), "mine.py")


def test_a_task_made_of_content_has_an_id_of_its_content() -> None:
    one, same = (Task.make(domain="d", size=1, split="deployed", prompt="p", payload={"a": "b"}) for _ in range(2))
    assert one == same and one.id != Task.make(domain="d", size=1, split="held_out", prompt="p", payload={"a": "b"}).id
