"""Environments: what is said turn by turn, judged again from the turns alone, trained on where the model spoke."""

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from helpers.completions import serving
from helpers.support import config_with, iterdeploy, run_facts, whole_traces, write_config
from iterdeploy import Completion, Observation, Status, Task, Verdict
from iterdeploy.models.chat import load_tokenizer
from iterdeploy.models.loading import base_policy, load, model_folder
from iterdeploy.models.scoring import token_logprobs
from iterdeploy.record.store import TraceStore
from iterdeploy.report.facts.records import opened
from iterdeploy.tasks import task_set
from iterdeploy.tasks.environment import Episodes, observations_of
from iterdeploy.tasks.judging import ProcessJudges
from iterdeploy.training.batching import collate
from iterdeploy.training.examples import make_examples
from iterdeploy.types import Trace

TALK = '''
import os, signal, time
from iterdeploy import Observation, Task

KILL = os.path.join(os.path.dirname(__file__), "kill")
BLOCKS = "blocksworld\\n(arm-empty)\\n(clear b1)\\n(on-table b1)\\n(clear b2)\\n(on-table b2)\\ngoal\\n(on b{} b{})\\n"

class Talk:
    """Every action is answered by another small task, three times. An action of even length is worth 1."""

    threshold = 2

    def __init__(self, options, seed):
        self.held_out = [self.task("held_out", i) for i in range(options.get("held_out", 2))]

    def task(self, split, index):
        prompt = f"{split} {index}\\n"
        return Task.make(domain="talk", size=1, split=split, prompt=prompt, payload={"first": str(index)})

    def deployed(self, generation):
        return [self.task("deployed", i) for i in range(5)]

    def environment(self):
        return Turns()

class Turns:
    def reset(self, task):
        if task.payload["first"] == "9":
            raise ValueError("no such room")
        self.taken = 0
        return Observation(BLOCKS.format(1, 2))

    def step(self, action):
        self.taken += 1
        if self.taken == 2 and os.path.exists(KILL):
            os.remove(KILL)
            os.kill(os.getppid(), signal.SIGKILL)
        if action == "slow":
            time.sleep(0.7)
        if action == "hang":
            time.sleep(60)
        if action == "die":
            os._exit(7)
        if action == "none":
            return None
        if action == "nan":
            return Observation(reward=float("nan"))
        return Observation(f"turn {self.taken}\\n", reward=float(len(action) % 2 == 0), done=self.taken == 3)
'''


class Counter:
    """Says how many actions it has seen, and counts in all how often it was called."""

    calls = 0

    def reset(self, task: Task) -> Observation:
        self.seen = 0
        return Observation("start")

    def step(self, action: str) -> Observation:
        Counter.calls += 1
        self.seen += 1
        return Observation(f"{self.seen} {action}", reward=0.5, done=action == "stop")


TASK = Task.make(domain="talk", size=1, split="deployed", prompt="?", payload={"first": "0"})


def said(*texts: str, reason: str = "stop") -> list[Completion]:
    """Calls of which the last ended for the reason."""
    return [Completion(text, (1,), (2, 0), None, "stop", 0) for text in texts[:-1]] + [
        Completion(text, (1,), (2, 0), None, reason, 0) for text in texts[-1:]
    ]


def test_an_episode_goes_on_from_where_it_was_and_again_from_its_turns_alone() -> None:
    episodes = Episodes(Counter, turns=4, threshold=1.0)
    Counter.calls = 0
    for turns in ([], ["a"], ["a", "b"]):
        reply = episodes.reply(TASK, said(*turns))
        assert reply == (Observation(f"{len(turns)} {turns[-1]}", 0.5) if turns else Observation("start"))
    assert Counter.calls == 2, "an environment that is under way is not set up again"
    verdict = episodes.reply(TASK, said("a", "b", "stop"))
    assert isinstance(verdict, Verdict) and (verdict.status, verdict.reward) == (Status.VALID, 1.5)
    assert observations_of(verdict) == ["start", "1 a", "2 b", "3 stop"] and verdict.facts == {"turns": 3.0}
    assert Episodes(Counter, turns=4, threshold=1.0).reply(TASK, said("a", "b", "stop")) == verdict


def test_two_samples_that_begin_alike_do_not_share_an_environment() -> None:
    episodes = Episodes(Counter, turns=4, threshold=1.0)
    for _ in range(2):
        episodes.reply(TASK, said())
    for last in ("x", "y"):
        assert episodes.reply(TASK, said(last)) == Observation(f"1 {last}", 0.5)


@pytest.mark.parametrize(
    ("turns", "reason", "status", "words"),
    [
        (["stop"], "stop", Status.INVALID, "1 stop"),
        (["a", "b", "c", "d"], "stop", Status.INVALID, "not done after 4 turns"),
        (["a", "b"], "length", Status.TRUNCATED, "token limit"),
    ],
    ids=["done with too little reward", "out of turns", "a turn that was cut off"],
)
def test_an_episode_that_fails_says_why(turns: list[str], reason: str, status: Status, words: str) -> None:
    verdict = Episodes(Counter, turns=4, threshold=1.0).reply(TASK, said(*turns, reason=reason))
    assert isinstance(verdict, Verdict) and verdict.status is status and words in verdict.reason
    assert observations_of(verdict)[0] == "start"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "talk.py").write_text(TALK)
    return tmp_path


def test_an_environment_that_hangs_dies_or_errs_is_an_error_and_each_step_has_its_time(folder: Path) -> None:
    config = config_with({"tasks": {"kind": f"{folder / 'talk.py'}:Talk"},
                          "validation": {"timeout": 1.5, "processes": 2}})  # fmt: skip
    task, *_ = task_set(config).deployed(0)
    nowhere = Task.make(domain="talk", size=1, split="deployed", prompt="?", payload={"first": "9"})
    with ProcessJudges(config, turns=8) as judges:
        begun, slow, hung, died, none, nan, lost = judges.replies(
            [(task, []), (task, said("slow", "slow", "slow")), (task, said("hi", "hang")), (task, said("die")),
             (task, said("none")), (task, said("nan")), (nowhere, [])]
        )  # fmt: skip
    assert isinstance(begun, Observation) and begun.text.startswith("blocksworld")
    assert isinstance(slow, Verdict) and slow.status is Status.VALID, slow.reason
    for reply, words in ((hung, "1.5 seconds"), (died, "exit status 7"), (none, "Observation"), (nan, "finite"),
                         (lost, "no such room")):  # fmt: skip
        assert isinstance(reply, Verdict) and reply.status is Status.ERROR and words in reply.reason, reply


RUN: dict[str, Any] = {
    "tasks": None,
    "generations": 1,
    "sampling.max_new_tokens": 120,
    "sampling.batch_size": 4,
    "sampling.max_truncated": 1.0,
    "curation.policies": ["all"],
}


def written(folder: Path, overrides: dict[str, Any] | None = None) -> Path:
    config = write_config(folder, {**RUN, **(overrides or {})})
    config.write_text(config.read_text() + '\n[tasks]\nkind = "talk.py:Talk"\n')
    return config


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("talk")
    (folder / "talk.py").write_text(TALK)
    done = iterdeploy("run", written(folder), "--runs-dir", folder / "runs")
    assert done.returncode == 0, done.stderr
    return folder / "runs" / "tiny"


@pytest.fixture(scope="module")
def traces(run: Path) -> Iterator[list[Trace]]:
    store = TraceStore(run / "traces.sqlite", read_only=True)
    yield whole_traces(store)
    store.close()


def test_every_episode_is_the_models_turns_and_what_it_read_between_them(traces: list[Trace], run: Path) -> None:
    tokenizer = load_tokenizer(model_folder(config_with().model), config_with().model)
    assert len(traces) == 2 * (5 * 2 + 2)
    longest = max(len(trace.completions) for trace in traces)
    assert longest == 3, "some episode has all its turns"
    for trace in traces:
        observed = observations_of(trace.verdict)
        for before, call, text in zip(trace.completions, trace.completions[1:], observed[1:], strict=False):
            known = before.prompt_token_ids + before.token_ids
            assert call.prompt_token_ids[: len(known)] == known, "nothing is rendered again"
            assert tokenizer.decode(call.prompt_token_ids[len(known) :]) == text
        first = tokenizer.decode(trace.completions[0].prompt_token_ids)
        assert first.endswith(observed[0]) and first.startswith(trace.split)


def test_only_what_the_model_said_carries_loss_token_by_token(traces: list[Trace]) -> None:
    examples = make_examples(traces, {trace.id: 1.0 for trace in traces})
    assert [example.trace_id for example in examples] == [trace.id for trace in traces], "one example for each episode"
    batch = collate(examples, pad_id=1)
    for row, trace in enumerate(traces):
        mask, ids = batch.loss_mask[row].tolist(), batch.ids[row].tolist()
        own = [False] * len(mask)
        for call in trace.completions:
            start = len(call.prompt_token_ids)
            assert tuple(ids[start : start + len(call.token_ids)]) == call.token_ids
            own[start : start + len(call.token_ids)] = [True] * len(call.token_ids)
        assert mask == [float(value) for value in own]


def test_the_trainers_log_probabilities_are_those_of_the_sampler(traces: list[Trace]) -> None:
    """Of a whole episode in one pass, as it is trained on, against those of each turn as it was sampled."""
    import torch

    config = config_with()
    here = load(base_policy(model_folder(config.model)), config.model, torch.float32)
    (trace, *_) = [trace for trace in traces if trace.generation == 0 and len(trace.completions) == 3]
    (example,) = make_examples([trace], {trace.id: 1.0})
    (values,) = token_logprobs(here, [(example.token_ids[:1], example.token_ids[1:])], 4096)
    for (start, end), call in zip(example.spans, trace.completions, strict=True):
        assert values[start - 1 : end - 1].tolist() == pytest.approx(call.logprobs, abs=1e-4)


def test_killed_in_the_middle_of_an_episode_a_run_ends_the_same(run: Path) -> None:
    """The environment kills the run in the second turn of an episode, where a file says so."""
    folder, options = run.parents[1], ("--runs-dir", run.parent)
    command: tuple[object, ...] = ("run", folder / "tiny.toml", "--name", "killed", *options)
    for _ in range(2):
        (folder / "kill").touch()
        assert iterdeploy(*command).returncode == -signal.SIGKILL
        command = ("resume", "killed", *options)
    done = iterdeploy(*command)
    assert done.returncode == 0, done.stderr
    assert run_facts(run.with_name("killed")) == run_facts(run)


def test_a_server_is_asked_turn_by_turn_with_the_very_ids(folder: Path) -> None:
    config = config_with({"model.threads": 1})
    with serving(config) as server:
        written_config = written(folder, {"generations": 0, "sampling.sampler": "openai"})
        done = iterdeploy("run", written_config, "--runs-dir", folder / "runs", "--set", "server.concurrency=2",
                          "--set", f'server.address="{server.address}"')  # fmt: skip
        assert done.returncode == 0, done.stderr
        prompts = {tuple(body["prompt"]) for body in server.bodies}
    store = TraceStore(folder / "runs" / "tiny" / "traces.sqlite", read_only=True)
    traces = whole_traces(store)
    store.close()
    assert len(traces) == 12 and max(len(trace.completions) for trace in traces) > 1
    assert {call.prompt_token_ids for trace in traces for call in trace.completions} <= prompts


def test_an_episode_ends_before_a_call_that_might_go_beyond_its_tokens(folder: Path) -> None:
    config = written(folder, {"generations": 0, "sampling.max_episode_tokens": 200})
    done = iterdeploy("run", config, "--runs-dir", folder / "runs")
    assert done.returncode == 0, done.stderr
    store = TraceStore(folder / "runs" / "tiny" / "traces.sqlite", read_only=True)
    traces = whole_traces(store)
    store.close()
    cut = [trace for trace in traces if trace.verdict.status is Status.TRUNCATED]
    ended = [trace for trace in cut if trace.completions[-1].finish_reason == "stop"]
    assert ended and all(len(observations_of(trace.verdict)) == len(trace.completions) + 1 for trace in ended)
    for trace in traces:
        assert all(len(call.prompt_token_ids) + 120 <= 200 for call in trace.completions[1:])


def test_the_report_shows_an_episode_turn_by_turn(traces: list[Trace]) -> None:
    trace = max(traces, key=lambda one: len(one.completions))
    start, *turns = opened(trace, TASK, "no scene", longest_text=10_000)["turns"]
    observed = observations_of(trace.verdict)
    assert start == {"said": "", "observed": observed[0]}
    assert [turn["said"] for turn in turns] == [call.text for call in trace.completions]
    assert [turn["observed"] for turn in turns if turn["observed"]] == observed[1:]
