"""OpenAI's protocol: /v1/chat/completions and /v1/completions.

What a request asks for is done, or the request is refused: nothing is left out in silence. Fields that change nothing
where they say what is done anyway may say so.
"""

from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from iterdeploy.gateway.question import Body, Head, Message, Question, conversation, event, read, warmth
from iterdeploy.gateway.refusal import Refusal
from iterdeploy.types import Completion


def _no(said: bool) -> bool:
    if said:
        raise ValueError("this cannot be honoured here")
    return said


Nothing = Annotated[list[Any], Field(max_length=0)] | None
One = Annotated[int, Field(ge=1, le=1)]
NoPenalty = Annotated[float, Field(ge=0, le=0)]
No = Annotated[bool, Field(json_schema_extra={"const": False}), AfterValidator(_no)]
Limit = Annotated[int, Field(ge=1, le=10_000_000)]


class StreamOptions(Body):
    include_usage: bool = False


class TextFormat(Body):
    type: Literal["text"]


class Common(Body):
    model: Annotated[str, Field(max_length=200)]
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_tokens: Limit | None = None
    temperature: Annotated[float, Field(ge=0, le=100)] | None = None
    user: Annotated[str, Field(max_length=200)] | None = None
    metadata: dict[str, Any] | None = None
    """Not kept."""
    n: One | None = None
    top_p: Annotated[float, Field(ge=1, le=1)] | None = None
    frequency_penalty: NoPenalty | None = None
    presence_penalty: NoPenalty | None = None
    stop: Nothing = None
    seed: None = None
    logit_bias: Annotated[dict[str, Any], Field(max_length=0)] | None = None

    def question(self, prompt: Any, limit: int | None) -> Question:
        usage = self.stream_options is not None and self.stream_options.include_usage
        return Question(self.model, prompt, bool(self.stream), usage, limit, warmth(self.temperature), self.user)


class ChatBody(Common):
    messages: Annotated[list[Message], Field(min_length=1, max_length=10_000)]
    max_completion_tokens: Limit | None = None
    logprobs: No | None = None
    tools: Nothing = None
    tool_choice: Literal["none", "auto"] | None = None
    response_format: TextFormat | None = None
    store: bool | None = None
    """Every answer is stored."""


class TextBody(Common):
    prompt: str | Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1, max_length=10_000_000)]
    logprobs: Annotated[int, Field(ge=0, le=0)] | None = None
    echo: No | None = None
    best_of: One | None = None
    suffix: Literal[""] | None = None


def usage(said: Completion) -> dict[str, int]:
    sent, sampled = len(said.prompt_token_ids), len(said.token_ids)
    return {"prompt_tokens": sent, "completion_tokens": sampled, "total_tokens": sent + sampled}


class OpenAi:
    """One of the two routes, which differ in the name of an object and in where its text stands."""

    def __init__(self, *, chat: bool) -> None:
        self._chat = chat

    def question(self, body: bytes) -> Question:
        if not self._chat:
            asked = read(TextBody, body)
            prompt = asked.prompt if isinstance(asked.prompt, str) else tuple(asked.prompt)
            return asked.question(prompt, asked.max_tokens)
        chat = read(ChatBody, body)
        return chat.question(conversation(chat.messages), chat.max_completion_tokens or chat.max_tokens)

    def whole(self, head: Head, said: Completion) -> dict[str, Any]:
        text = {"message": {"role": "assistant", "content": said.text}} if self._chat else {"text": said.text}
        return self._object(head, text, said.finish_reason, "") | {"usage": usage(said)}

    def begin(self, head: Head, prompt_tokens: int) -> Iterable[str]:
        if self._chat:
            yield event(self._chunk(head, {"delta": {"role": "assistant", "content": ""}}, None))

    def piece(self, head: Head, text: str) -> str:
        return event(self._chunk(head, {"delta": {"content": text}} if self._chat else {"text": text}, None))

    def end(self, head: Head, said: Completion, usage_too: bool) -> Iterable[str]:
        yield event(self._chunk(head, {"delta": {}} if self._chat else {"text": ""}, said.finish_reason))
        if usage_too:
            yield event(self._chunk(head, None, None) | {"usage": usage(said)})
        yield event("[DONE]")

    def error(self, refusal: Refusal) -> dict[str, Any]:
        kind = "server_error" if refusal.status >= 500 else "invalid_request_error"
        return {"error": {"message": str(refusal), "type": kind, "code": refusal.code, "param": None}}

    def _chunk(self, head: Head, content: dict[str, Any] | None, reason: str | None) -> dict[str, Any]:
        return self._object(head, content, reason, ".chunk" if self._chat else "")

    def _object(self, head: Head, content: dict[str, Any] | None, reason: str | None, suffix: str) -> dict[str, Any]:
        choices = [] if content is None else [{"index": 0, **content, "logprobs": None, "finish_reason": reason}]
        name = ("chat.completion" if self._chat else "text_completion") + suffix
        return {
            "id": head.trace_id, "object": name, "created": head.created, "model": head.model, "choices": choices
        }  # fmt: skip
