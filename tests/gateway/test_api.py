"""The gateway's API as its own document says it, held against a real process; and as the `openai` package uses it."""

from collections.abc import Iterator
from typing import Any

import openai
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import checks
from schemathesis.specs.openapi import checks as openapi

from helpers.serving import NAME, Live, config_of, tasks_of

pytestmark = pytest.mark.slow
FEW = settings(max_examples=20, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck), database=None)
CHECKS = [
    checks.not_a_server_error,
    openapi.status_code_conformance,
    openapi.content_type_conformance,
    openapi.response_schema_conformance,
    openapi.negative_data_rejection,
    openapi.unsupported_method,
]
"""Not that all data of the schema are accepted: some fields exclude each other, which a schema says badly."""


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    config = config_of({"deployment.requests_per_minute": 1_000_000, "sampling.max_new_tokens": 8})
    live = Live(tmp_path_factory.mktemp("api"), config)
    yield live
    said = live.end()
    assert "Traceback" not in said, said


@pytest.fixture(scope="module")
def api(live: Live) -> Any:
    return schemathesis.openapi.from_url(f"http://127.0.0.1:{live.port}/openapi.json")


@pytest.mark.parametrize("mode", [schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE])
def test_every_route_does_what_the_document_says(api: Any, mode: schemathesis.GenerationMode) -> None:
    """With requests that fit the document, and with requests that do not."""
    for found in api.get_all_operations():
        operation = found.ok()
        if mode is schemathesis.GenerationMode.NEGATIVE and not operation.body:
            continue  # without a body or a parameter, no request can fail to fit

        @FEW
        @given(case=operation.as_strategy(generation_mode=mode))
        def holds(case: schemathesis.Case) -> None:
            case.call_and_validate(checks=CHECKS)

        holds()


def test_the_document_names_every_route_of_the_api(live: Live, api: Any) -> None:
    document = live.client.get("/openapi.json").json()
    assert document["openapi"].startswith("3.")
    for path in ("/v1/chat/completions", "/s/{session}/v1/messages", "/v1/feedback", "/v1/models", "/v1/acts"):
        assert path in document["paths"]
    chat = document["components"]["schemas"]["ChatBody"]
    assert chat["additionalProperties"] is False and "messages" in chat["required"]
    for path in document["paths"]:
        place = path.replace("{session}", "s").replace("{trace}", "t")
        assert live.client.request("PATCH", place).status_code == 405, f"{path} is there"


def test_the_openai_package_asks_streams_and_lists(live: Live) -> None:
    prompt = tasks_of(live.config)[0].prompt
    client = openai.OpenAI(base_url=f"http://127.0.0.1:{live.port}/v1", api_key="any", max_retries=0)
    assert [model.id for model in client.models.list()] == [NAME, f"{NAME}@g0"]
    asked: Any = {"model": NAME, "messages": [{"role": "user", "content": prompt}]}
    whole = client.chat.completions.create(**asked)
    assert whole.usage is not None and whole.choices[0].message.content == live.trace(whole.id).text
    assert whole.usage.completion_tokens == len(live.trace(whole.id).completions[0].token_ids)

    options: Any = {"stream": True, "stream_options": {"include_usage": True}}
    chunks = list(client.chat.completions.create(**asked, **options))
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == live.trace(chunks[0].id).text and len({chunk.id for chunk in chunks}) == 1
    assert chunks[-1].usage is not None and chunks[-2].choices[0].finish_reason in ("stop", "length")

    said = client.completions.create(model=NAME, prompt=prompt, max_tokens=4)
    assert said.choices[0].text == live.trace(said.id).text
    in_a_session = openai.OpenAI(base_url=f"http://127.0.0.1:{live.port}/s/talk/v1", api_key="any", max_retries=0)
    talked = in_a_session.chat.completions.create(**asked).id
    assert live.origins()[talked].session == "talk"
    with pytest.raises(openai.NotFoundError):
        client.chat.completions.create(**{**asked, "model": "gpt-4"})
    with pytest.raises(openai.BadRequestError, match="top_p"):
        client.chat.completions.create(**asked, top_p=0.5)
    client.close()
    in_a_session.close()
