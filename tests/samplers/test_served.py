"""Sampling from a server over real HTTP: what is sent and comes back, failures, adapters, servers that return less."""

import asyncio
import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import iterdeploy.samplers.client as client_module
from helpers.completions import KEY, Server, serving
from helpers.support import config_with, run_of, values_with, whole_traces, write_config
from iterdeploy.config import RunConfig
from iterdeploy.deployment.served_policy import verified
from iterdeploy.models.loading import base_policy, model_folder
from iterdeploy.planning.taskset import PlanningTasks
from iterdeploy.record.store import TraceStore
from iterdeploy.samplers import PromptBatch
from iterdeploy.samplers.client import Client
from iterdeploy.samplers.endpoint import Endpoint
from iterdeploy.samplers.errors import ServerError
from iterdeploy.samplers.openai import OpenAiSampler
from iterdeploy.samplers.transformers import TransformersSampler
from iterdeploy.steps.components import assemble
from iterdeploy.steps.stops import Stopped
from iterdeploy.training.examples import make_examples
from iterdeploy.training.trainer import TrainingExamples, read_policy
from iterdeploy.types import Completion, Policy, Status

Cli = Callable[..., Any]

LOCAL = config_with({"tasks.deployed": 6, "tasks.held_out": 0, "training.method": "lora", "training.epochs": 4,
                     "training.learning_rate": 5e-3, "training.validation_share": 0.0})  # fmt: skip
BASE = base_policy(model_folder(LOCAL.model))
PROMPTS = [task.prompt for task in PlanningTasks(LOCAL.tasks, 1).deployed(0)]


@pytest.fixture(scope="module")
def running() -> Iterator[Server]:
    with serving(LOCAL) as server:
        yield server


@pytest.fixture
def server(running: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """The server as it is when it behaves, and a client that is not patient for long."""
    monkeypatch.setattr(client_module, "FIRST_PAUSE", 0.01)
    monkeypatch.setenv("ITERDEPLOY_API_KEY", KEY)
    running.failures, running.without, running.bodies = [], set(), []
    running.stale = running.cooled = False
    running.meeting = None
    running.keys, running.most_at_once = set(), 0
    running.hurry.clear()
    yield running
    running.hurry.set()


def config_of(server: Server, **overrides: Any) -> RunConfig:
    values = LOCAL.model_dump(mode="json")
    values["sampling"] |= {"sampler": "openai", **overrides.pop("sampling", {})}
    values["server"] |= {"address": server.address, "concurrency": 4, **overrides}
    return RunConfig.model_validate(values)


def sampler(server: Server, policy: Policy = BASE, **overrides: Any) -> OpenAiSampler:
    return OpenAiSampler(policy, config_of(server, **overrides))


@pytest.fixture(scope="module")
def here() -> Iterator[TransformersSampler]:
    with TransformersSampler(BASE, LOCAL) as one:
        yield one


def in_process(here: TransformersSampler, server: Server, count: int) -> list[Completion]:
    """What the in-process sampler says to the last `count` requests that the server got, with their seeds."""
    return [here.sample_ids([body["prompt"]], body["seed"])[0] for body in server.bodies[-count:]]


def test_what_was_sampled_comes_back_as_it_was_and_each_prompt_gets_its_own_answer(
    server: Server, here: TransformersSampler, capsys: pytest.CaptureFixture[str]
) -> None:
    with sampler(server) as one:
        found = one.sample(PROMPTS, 7)
        assert one.source == "openai"
    tokenizer = here._here.tokenizer
    for prompt, said in zip(PROMPTS, found, strict=True):
        assert list(said.prompt_token_ids) == tokenizer(prompt, add_special_tokens=False)["input_ids"]
        assert said.logprobs is not None and len(said.logprobs) == len(said.token_ids)
        assert said.finish_reason == ("stop" if said.token_ids[-1] in here._here.end_ids else "length")
    assert sorted(found, key=repr) == sorted(in_process(here, server, len(PROMPTS)), key=repr)
    assert capsys.readouterr().err == "", "nothing is missing, so nothing is warned of"


def test_requests_say_everything_that_shapes_the_distribution(server: Server) -> None:
    with sampler(server, sampling={"temperature": 0.5}) as one:
        one.sample(PROMPTS[:4], 7)
    asked = server.bodies[-4:]
    for body in asked:
        wanted = {"temperature": 0.5, "top_p": 1.0, "top_k": -1, "min_p": 0.0, "repetition_penalty": 1.0,
                  "max_tokens": 80, "return_token_ids": True, "skip_special_tokens": False, "logprobs": 1,
                  "stop_token_ids": [0], "model": "embedded"}  # fmt: skip
        assert {key: body[key] for key in wanted} == wanted
    assert len({body["seed"] for body in asked}) == 4, "the same prompt asked twice must not be answered the same"
    assert server.keys == {f"Bearer {KEY}"}


def test_the_same_seed_gives_the_same_answers_and_another_seed_others(server: Server) -> None:
    with sampler(server) as one:
        first = one.sample(PROMPTS, 7)
        assert one.sample(PROMPTS, 7) == first
        assert [said.token_ids for said in one.sample(PROMPTS, 8)] != [said.token_ids for said in first]


def test_batches_do_not_wait_for_each_other_and_come_when_they_are_whole(server: Server) -> None:
    asked = [PromptBatch(PROMPTS[i : i + 3], i) for i in range(4)]
    with sampler(server, sampling={"max_new_tokens": 5}) as one:
        server.meeting = threading.Barrier(4)
        found = list(one.answers(asked))
    assert sorted(answered.index for answered in found) == list(range(4))
    assert all(len(answered.completions) == 3 for answered in found)
    assert not server.meeting.broken, "as many requests at once as configured, over the ends of batches"
    assert server.most_at_once == 4


def test_requests_that_fail_for_a_while_are_asked_again_and_change_nothing(server: Server) -> None:
    with sampler(server) as one:
        untroubled = one.sample(PROMPTS[:3], 7)
        for failure in ("429", "500", "drop"):
            server.failures = [failure] * 3
            assert one.sample(PROMPTS[:3], 7) == untroubled, failure
            assert not server.failures


@pytest.mark.slow
def test_an_answer_that_takes_too_long_is_asked_for_again(server: Server) -> None:
    with sampler(server, timeout=5.0, sampling={"max_new_tokens": 3}) as one:
        server.failures = ["slow"]
        began = time.monotonic()
        one.sample(PROMPTS[:1], 7)
    assert time.monotonic() - began >= 5 and not server.failures


def test_a_server_that_keeps_failing_is_given_up_and_whole_batches_are_kept(server: Server) -> None:
    asked = [PromptBatch([prompt], i) for i, prompt in enumerate(PROMPTS)]
    with (
        sampler(server, concurrency=1, retries=2, sampling={"max_new_tokens": 5}) as one,
        pytest.raises(ServerError) as caught,
    ):
        found = []
        for answered in one.answers(asked):
            found.append(answered)
            if len(found) == 2:
                server.failures = ["503"] * 50
    assert 2 <= len(found) < 6
    told = str(caught.value)
    assert "3 tries" in told and "status 503" in told and "resume" in told
    assert KEY not in told


def test_pauses_grow_and_are_no_longer_than_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody listens on the address; how long each pause would be is noted instead of waited."""
    pauses: list[float] = []

    async def noted(seconds: float) -> None:
        pauses.append(seconds)

    async def asking() -> None:
        async with Client(Endpoint("http://127.0.0.1:1/v1", "", ""), limit=1.0, retries=9, connections=1) as client:
            await client.get("/models", bytes.decode)

    monkeypatch.setattr(client_module, "sleep", noted)
    with pytest.raises(ServerError, match="10 tries"):
        asyncio.run(asking())
    assert len(pauses) == 9 and all(later >= earlier for earlier, later in zip(pauses[:7], pauses[1:7], strict=False))
    assert 0.25 <= pauses[0] <= 0.5 and 30 <= pauses[-1] <= 60


def test_leaving_early_ends_the_requests_that_are_under_way(server: Server) -> None:
    """A signal that arrives while all answers are slow, as Ctrl-C does: nothing waits for them."""
    signal.signal(signal.SIGALRM, signal.default_int_handler)
    began = time.monotonic()
    with sampler(server) as one, pytest.raises(KeyboardInterrupt):
        server.failures = ["slow"] * 4
        found = one.answers([PromptBatch(PROMPTS[:1], i) for i in range(12)])
        signal.setitimer(signal.ITIMER_REAL, 1.0)
        next(found)
    assert time.monotonic() - began < 30


def test_a_server_without_token_ids_is_accepted_with_one_warning_and_its_traces_are_marked(
    server: Server, here: TransformersSampler, capsys: pytest.CaptureFixture[str]
) -> None:
    server.without = {"token_ids"}
    with sampler(server) as one:
        found = one.sample(PROMPTS, 7)
        assert one.source == "openai (re-tokenised)"
    told = capsys.readouterr().err
    assert told.count("warning") == 1 and "re-tokenised" in told and "importance" in told
    assert all(said.logprobs is None for said in found), "they would be of other tokens"
    for said in found:
        assert (said.token_ids[-1] in here._here.end_ids) == (said.finish_reason == "stop")
    really = sorted(said.text for said in in_process(here, server, len(PROMPTS)))
    assert sorted(said.text for said in found) == really


def test_a_chat_server_is_sent_messages_alone_and_its_reasoning_is_put_back(
    server: Server, here: TransformersSampler, capsys: pytest.CaptureFixture[str]
) -> None:
    with sampler(server, api="chat") as one:
        found = one.sample(PROMPTS, 7)
        assert one.source == "openai (re-tokenised)"
    assert capsys.readouterr().err.count("warning") == 1
    bodies = server.bodies[-len(PROMPTS) :]
    assert all(set(body) == {"model", "max_tokens", "temperature", "top_p", "seed", "messages"} for body in bodies)
    assert {body["messages"][0]["content"] for body in bodies} == set(PROMPTS)
    finished = [said for said in found if "</think>" in said.text]
    assert finished and all(said.text.startswith("<think>\n") for said in finished)
    assert all(said.reasoning_tokens > 0 for said in finished)
    assert all(said.logprobs is None for said in found)


def test_a_server_without_log_probabilities_is_accepted_with_one_warning(
    server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    server.without = {"logprobs"}
    with sampler(server) as one:
        found = one.sample(PROMPTS[:4], 7)
        assert one.source == "openai", "the ids are those that were sampled"
    assert capsys.readouterr().err.count("warning") == 1
    assert all(said.logprobs is None for said in found)


@pytest.mark.parametrize(("cooled", "echo"), [(True, True), (False, False), (False, True)])
def test_log_probabilities_at_another_temperature_are_recorded_only_if_they_are_shown_to_be_those_at_1(
    server: Server, here: TransformersSampler, cooled: bool, echo: bool
) -> None:
    server.cooled = cooled
    server.without = set() if echo else {"echo"}
    with sampler(server, sampling={"temperature": 0.5}) as one:
        found = one.sample(PROMPTS[:4], 7)
    if cooled or not echo:
        assert all(said.logprobs is None for said in found)
        return
    scored = here.logprobs([(said.prompt_token_ids, said.token_ids) for said in found])
    assert scored is not None
    for said, values in zip(found, scored, strict=True):
        assert said.logprobs == pytest.approx(values, abs=1e-4)


def test_the_server_scores_given_text_as_the_model_does(server: Server, here: TransformersSampler) -> None:
    with sampler(server) as one:
        rows = [(said.prompt_token_ids, said.token_ids) for said in one.sample(PROMPTS[:3], 7)]
        served, ours = one.logprobs(rows), here.logprobs(rows)
    assert served is not None and ours is not None
    for values, wanted in zip(served, ours, strict=True):
        assert values == pytest.approx(wanted, abs=1e-4)


@pytest.fixture(scope="module")
def generation(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run's folder with the answers of generation 0 in its store and generation 1's adapter, trained on them."""
    folder = tmp_path_factory.mktemp("generation")
    write_config(folder, {"generations": 0, "training.method": "lora"})
    from helpers.support import iterdeploy

    assert iterdeploy("run", folder / "tiny.toml", "--runs-dir", folder).returncode == 0
    store = TraceStore(folder / "tiny" / "traces.sqlite", read_only=True)
    ids = [one.id for one in store.traces(generation=0, status=Status.VALID)]
    chosen = list(store.each(ids))
    store.close()
    parts = assemble(LOCAL)
    out = folder / "policy"
    out.mkdir()
    pool = TrainingExamples(make_examples(chosen, dict.fromkeys(ids, 1.0)), "a pool")
    parts.trainer.fit(parts.base, 1, pool, out, lambda done, total: None)
    return folder


def entered(server: Server, generation: Path, policy: Policy) -> None:
    store = TraceStore(generation / "tiny" / "traces.sqlite", read_only=True)
    config = config_of(server)
    try:
        with verified(policy, OpenAiSampler(policy, config), PROMPTS, run_of(assemble(config), store)) as one:
            one.sample(PROMPTS[:1], 1)
    finally:
        store.close()


@pytest.mark.slow
def test_an_adapter_is_loaded_under_a_name_of_its_own_and_shown_to_be_there(server: Server, generation: Path) -> None:
    policy = read_policy(generation / "policy")
    entered(server, generation, policy)
    assert server.bodies[-1]["model"] == f"gen1-{policy.id[:8]}"
    with sampler(server, policy) as one, TransformersSampler(policy, LOCAL) as direct:
        (said,) = one.sample(PROMPTS[:1], 3)
        (scored,) = direct.logprobs([(said.prompt_token_ids, said.token_ids)]) or [[]]
    assert said.logprobs == pytest.approx(scored, abs=1e-4)


@pytest.mark.slow
def test_an_adapter_that_was_never_applied_stops_the_run(server: Server, generation: Path) -> None:
    server.stale = True
    with pytest.raises(Stopped) as caught:
        entered(server, generation, read_policy(generation / "policy"))
    assert caught.value.state == "server_has_other_weights"
    told = str(caught.value)
    assert "generation 1" in told and "those of generation 0" in told and "stale" in told
    assert server.bodies[-1].get("echo"), "it was noticed before anything was sampled"


@pytest.mark.slow
def test_of_several_servers_the_one_that_lacks_the_adapter_is_named(server: Server, generation: Path) -> None:
    policy = read_policy(generation / "policy")
    with serving(LOCAL) as other:
        other.stale = True
        config = config_of(server, address="", addresses=[server.address, other.address])
        store = TraceStore(generation / "tiny" / "traces.sqlite", read_only=True)
        run = run_of(assemble(config), store)
        with (
            pytest.raises(ServerError, match=f"{other.address}: this server has other weights than {server.address}"),
            verified(policy, OpenAiSampler(policy, config), PROMPTS, run),
        ):
            raise AssertionError("not reached")
        store.close()


@pytest.mark.slow
def test_another_base_model_is_noticed_before_anything_was_ever_sampled(
    server: Server, generation: Path, tmp_path: Path
) -> None:
    """What the server has under that name is the adapter, not the base model."""
    policy = read_policy(generation / "policy")
    entered(server, generation, policy)
    store = TraceStore(tmp_path / "empty.sqlite")
    config = config_of(server, model=f"gen1-{policy.id[:8]}")
    other = verified(BASE, OpenAiSampler(BASE, config), PROMPTS, run_of(assemble(config), store))
    with pytest.raises(Stopped, match="not those of the policy of generation 0"), other:
        raise AssertionError("not reached")
    store.close()


@pytest.mark.slow
def test_a_whole_run_over_a_server_and_the_key_is_nowhere(server: Server, run_cli: Cli, tmp_path: Path) -> None:
    config = write_config(tmp_path, {"generations": 1, "training.method": "lora", "sampling.sampler": "openai",
                                     "server.concurrency": 4})  # fmt: skip
    environment = {**os.environ, "ITERDEPLOY_ADDRESS": server.address}
    done = run_cli("run", config, "--runs-dir", tmp_path / "runs", env=environment)
    path = tmp_path / "runs" / "tiny"
    store = TraceStore(path / "traces.sqlite", read_only=True)
    traces = whole_traces(store)
    store.close()
    assert [sum(one.generation == number for one in traces) for number in (0, 1)] == [30, 30]
    assert {one.source for one in traces} == {"openai"}
    assert all(one.completions[0].logprobs is not None for one in traces)
    adapter = json.loads((path / "generation-0" / "policy" / "policy.json").read_text())["id"]
    asked = [body for body in server.bodies if not body.get("echo") and body["max_tokens"] == 80]
    assert [body["model"] for body in asked] == ["embedded"] * 30 + [f"gen1-{adapter[:8]}"] * 30
    metrics = json.loads((path / "generation-1" / "metrics.json").read_text())
    assert metrics["drift"]["logprob_gap"] < 1e-4
    assert server.keys == {f"Bearer {KEY}"}
    for file in path.rglob("*"):
        assert not file.is_file() or KEY.encode() not in file.read_bytes(), file
    assert KEY not in done.stdout + done.stderr


def test_a_server_that_is_not_there_is_named_with_its_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "FIRST_PAUSE", 0.0)
    values = values_with({"generations": 0, "sampling.sampler": "openai", "server.address": "http://127.0.0.1:9/v1"})
    with pytest.raises(ServerError, match=r"127\.0\.0\.1:9.*7 tries"):
        OpenAiSampler(BASE, RunConfig.model_validate(values)).__enter__()


def test_which_variable_holds_the_key(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINE", "my-key")
    with sampler(server, key_variable="MINE"):
        assert server.keys == {"Bearer my-key"}
