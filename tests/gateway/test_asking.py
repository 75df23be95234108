"""Asking a deployment: a real process, real requests, and what is in its store afterwards."""

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from helpers.postgres import Place
from helpers.serving import NAME, Live, config_of, events, tasks_of
from helpers.support import assert_refused, iterdeploy
from iterdeploy.models.chat import load_tokenizer
from iterdeploy.models.loading import base_policy, model_folder
from iterdeploy.models.scoring import policy_logprobs
from iterdeploy.steps.components import assemble
from iterdeploy.types import Split, Status

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory, place: Place) -> Iterator[Live]:
    live = Live(tmp_path_factory.mktemp("asking"), config_of(place.config()))
    yield live
    said = live.end()
    assert "Traceback" not in said, said


@pytest.fixture(scope="module")
def prompts(live: Live) -> list[str]:
    return [task.prompt for task in tasks_of(live.config)]


def until_delivered(live: Live, trace_id: str) -> None:
    for _ in range(200):
        if live.origins()[trace_id].delivered:
            return
        time.sleep(0.05)
    raise AssertionError("it is not marked as delivered")


def test_an_answer_is_a_stored_trace_that_the_model_really_sampled(live: Live, prompts: list[str]) -> None:
    response = live.ask(prompts[0], headers={"X-Iterdeploy-User": "ann"})
    said = response.json()
    trace = live.traces()[said["id"]]
    (call,) = trace.completions
    assert said["choices"][0]["message"]["content"] == call.text
    assert said["usage"]["completion_tokens"] == len(call.token_ids)
    assert response.headers["x-iterdeploy-trace"] == trace.id
    assert response.headers["x-iterdeploy-generation"] == "0" == str(trace.generation)
    assert response.headers["x-iterdeploy-policy"] == trace.policy_id
    assert trace.verdict.status in (Status.VALID, Status.INVALID) and trace.verdict.validator
    policy = base_policy(model_folder(live.config.model))
    (scored,) = policy_logprobs(policy, [(call.prompt_token_ids, call.token_ids)], live.config)
    assert call.logprobs == pytest.approx(scored.tolist(), abs=1e-4)
    assert live.origins()[trace.id].user == "ann"
    until_delivered(live, trace.id)


def test_a_stream_says_the_same_as_its_trace_and_ends_after_it(live: Live, prompts: list[str]) -> None:
    response = live.ask(prompts[1], stream=True, stream_options={"include_usage": True})
    *chunks, last, usage, done = events(response)
    trace = live.traces()[last["id"]]
    text = "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks)
    assert text == trace.text and len(chunks) > 5, "it comes in pieces"
    assert last["choices"][0]["finish_reason"] == trace.completions[0].finish_reason
    assert usage["usage"]["completion_tokens"] == trace.totals.tokens
    assert done == "[DONE]"
    until_delivered(live, trace.id)


def test_all_three_protocols_ask_the_same_model(live: Live, prompts: list[str]) -> None:
    tokenizer = load_tokenizer(model_folder(live.config.model), live.config.model)
    ids = tokenizer(prompts[2], add_special_tokens=False)["input_ids"]
    for prompt in (prompts[2], ids):
        said = live.client.post("/v1/completions", json={"model": NAME, "prompt": prompt, "max_tokens": 3}).json()
        trace = live.traces()[said["id"]]
        assert list(trace.completions[0].prompt_token_ids) == ids
        assert said["choices"][0] == {
            "index": 0, "text": trace.text, "logprobs": None, "finish_reason": "length"
        }  # fmt: skip
        assert trace.verdict.status is Status.TRUNCATED and trace.totals.tokens == 3
    body = {"model": NAME, "max_tokens": 50, "messages": [{"role": "user", "content": prompts[2]}]}
    message = live.client.post("/v1/messages", json=body).json()
    assert message["content"][0]["text"] == live.traces()[message["id"]].text
    stream = events(live.client.post("/v1/messages", json={**body, "stream": True}))
    assert [part["type"] for part in (stream[0], stream[-1])] == ["message_start", "message_stop"]
    pieces = [part["delta"]["text"] for part in stream if part["type"] == "content_block_delta"]
    assert "".join(pieces) == live.traces()[stream[0]["message"]["id"]].text


def test_a_prompt_without_a_validator_is_unjudged_and_a_held_out_one_never_trains(live: Live) -> None:
    unknown = live.trace(live.ask("What is a block?").json()["id"])
    assert unknown.verdict.status in (Status.UNJUDGED, Status.TRUNCATED) and unknown.split is Split.DEPLOYED
    own = assemble(live.config).tasks.held_out[0]
    trace = live.trace(live.ask(own.prompt).json()["id"])
    assert trace.split is Split.HELD_OUT and trace.task_id != own.id


def test_a_session_in_the_path_ties_calls_together(live: Live, prompts: list[str]) -> None:
    ids = [live.ask(prompts[3], session="visit 7", max_tokens=2).json()["id"] for _ in range(2)]
    assert [live.origins()[trace_id].session for trace_id in ids] == ["visit 7"] * 2
    assert {live.traces()[trace_id].sample_index for trace_id in ids} == {0, 1}


def test_a_repeated_request_is_one_trace(live: Live, prompts: list[str]) -> None:
    before = len(live.traces())
    headers = {"Idempotency-Key": "once"}
    answers = []
    threads = [
        threading.Thread(target=lambda: answers.append(live.ask(prompts[4], headers=headers).json()["id"]))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    streamed = events(live.ask(prompts[4], headers=headers, stream=True))
    assert {*answers, streamed[0]["id"]} == {answers[0]} and len(live.traces()) == before + 1
    assert "".join(e["choices"][0]["delta"].get("content", "") for e in streamed[:-1]) == live.traces()[answers[0]].text
    other = live.ask(prompts[5], headers=headers)
    assert other.status_code == 422 and other.json()["error"]["code"] == "idempotency_key_reused"


def test_who_hangs_up_gets_the_same_answer_later_and_nothing_undelivered_counts(live: Live, prompts: list[str]) -> None:
    headers = {"Idempotency-Key": "cut off"}
    with pytest.raises(httpx.ReadTimeout):
        live.client.post(
            "/v1/chat/completions",
            json={"model": NAME, "messages": [{"role": "user", "content": prompts[6]}]},
            headers=headers,
            timeout=httpx.Timeout(5, read=0.001),
        )
    for _ in range(200):
        if kept := [origin for origin in live.origins().values() if origin.retry == "/cut off"]:
            break
        time.sleep(0.05)
    assert not kept[0].delivered
    assert live.ask(prompts[6], headers=headers).json()["id"] == kept[0].trace_id
    until_delivered(live, kept[0].trace_id)


def test_many_at_once_are_answered_in_batches_and_all_stored(live: Live, prompts: list[str]) -> None:
    found: list[str] = []

    def ask(prompt: str) -> None:
        found.append(live.ask(prompt, max_tokens=20).json()["id"])

    threads = [threading.Thread(target=ask, args=[prompts[i % 10]]) for i in range(48)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 48 and set(found) <= set(live.traces())


def test_models_are_the_deployment_and_its_generations(live: Live, prompts: list[str]) -> None:
    listed = [model["id"] for model in live.client.get("/v1/models").json()["data"]]
    assert listed == [NAME, f"{NAME}@g0"]
    assert live.ask(prompts[0], model=f"{NAME}@g0", max_tokens=2).status_code == 200
    refused = live.ask(prompts[0], model=f"{NAME}@g1")
    assert refused.status_code == 404 and refused.json()["error"]["code"] == "model_not_found"


@pytest.mark.parametrize(
    ("more", "word"),
    [
        ({"n": 2}, "n"),
        ({"top_p": 0.9}, "top_p"),
        ({"tools": [{"type": "function"}]}, "tools"),
        ({"seed": 1}, "seed"),
        ({"surprise": 1}, "surprise"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"temperature": -1}, "temperature"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "user", "content": "a"}, {"role": "user", "content": "b"}]}, "messages"),
        ({"messages": [{"role": "user", "content": ""}]}, "empty"),
        ({"messages": [{"role": "user", "content": "a " * 3000}]}, "tokens"),
        ({"model": 7}, "model"),
    ],
    ids=str,
)
def test_what_cannot_be_honoured_is_refused(live: Live, more: dict[str, object], word: str) -> None:
    body = {"model": NAME, "messages": [{"role": "user", "content": "x"}], **more}
    response = live.client.post("/v1/chat/completions", json=body)
    assert response.status_code == 400 and word in response.json()["error"]["message"], response.text


@pytest.mark.parametrize(
    ("content", "headers", "status"),
    [
        (b"{", {}, 400),
        (b"[" * 100_000, {}, 400),
        (b'{"model": "live", "model": NaN}', {}, 400),
        (b"\xff\xfe", {}, 400),
        (b"x" * 1_000_001, {}, 413),
        (b"{}", {"Content-Type": "text/plain"}, 415),
        (b"{}", {"Host": "evil.example"}, 403),
        (b"{}", {"Origin": "http://evil.example"}, 403),
        (b"{}", {"Idempotency-Key": "x" * 201}, 400),
        (b"{}", {"X-Iterdeploy-Train": "perhaps"}, 400),
    ],
    ids=str,
)
def test_hostile_requests_are_refused_in_json(live: Live, content: bytes, headers: dict[str, str], status: int) -> None:
    if content == b"{}" and status == 400:
        content = json.dumps({"model": NAME, "messages": [{"role": "user", "content": "x"}]}).encode()
    response = live.client.post(
        "/v1/chat/completions", content=content, headers={"Content-Type": "application/json", **headers}
    )
    assert response.status_code == status and response.json()["error"]["message"], response.text


def test_a_killed_gateway_has_lost_nothing_that_it_answered(tmp_path: Path, place: Place) -> None:
    live = Live(tmp_path, config_of(place.config()))
    prompts = [task.prompt for task in tasks_of(live.config)]
    answered: list[str] = []

    def ask() -> None:
        for prompt in prompts:
            try:
                answered.append(live.ask(prompt, max_tokens=15).json()["id"])
            except httpx.HTTPError:
                return

    for round_ in range(3):
        before = len(answered)
        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        while len(answered) < before + 5 * (round_ + 1):
            time.sleep(0.01)
        live.process.kill()
        for thread in threads:
            thread.join()
        live.kill()
        assert set(answered) <= set(live.traces()), "an answer that was whole is on the disk"
        assert set(live.traces()) == set(live.origins())
        live.start()
    assert len(answered) == len(set(answered))
    live.end()


def test_a_second_gateway_is_refused_where_the_store_is_a_file(tmp_path: Path) -> None:
    live = Live(tmp_path, config_of())
    done = iterdeploy("serve", live.path / "config.toml", "--name", NAME, "--runs-dir", live.path.parent, "--port", "0")
    assert_refused(done, "is working on this run")
    live.end()
