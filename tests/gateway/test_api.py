"""The gateway's API as its own document says it; and as the `openai` package uses it."""

from collections.abc import Iterator
from typing import Any

import openai
import pytest

from helpers.serving import NAME, Live, config_of, tasks_of

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    config = config_of({"deployment.requests_per_minute": 1_000_000, "sampling.max_new_tokens": 8})
    live = Live(tmp_path_factory.mktemp("api"), config)
    yield live
    said = live.end()
    assert "Traceback" not in said, said


def test_the_document_names_every_route_of_the_api(live: Live) -> None:
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
