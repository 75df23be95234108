"""Anthropic's protocol, /v1/messages, as far as it is about text."""

from collections.abc import Iterable
from typing import Annotated, Any

from pydantic import Field

from iterdeploy.gateway.question import Body, Head, Message, Part, Question, conversation, event, read, warmth
from iterdeploy.gateway.refusal import Refusal
from iterdeploy.types import Completion

KINDS = {401: "authentication_error", 403: "permission_error", 404: "not_found_error", 413: "request_too_large",
         429: "rate_limit_error"}  # fmt: skip


class Metadata(Body):
    user_id: Annotated[str, Field(max_length=200)] | None = None


class MessagesBody(Body):
    model: Annotated[str, Field(max_length=200)]
    max_tokens: Annotated[int, Field(ge=1, le=10_000_000)]
    messages: Annotated[list[Message], Field(min_length=1, max_length=10_000)]
    system: str | list[Part] | None = None
    stream: bool = False
    temperature: Annotated[float, Field(ge=0, le=100)] | None = None
    metadata: Metadata | None = None


class Anthropic:
    def question(self, body: bytes) -> Question:
        asked = read(MessagesBody, body)
        system = asked.system
        first = [Message(role="system", content=system)] if system else []
        return Question(
            model=asked.model,
            prompt=conversation([*first, *asked.messages]),
            stream=asked.stream,
            usage=True,
            limit=asked.max_tokens,
            temperature=warmth(asked.temperature),
            user=asked.metadata.user_id if asked.metadata else None,
        )

    def whole(self, head: Head, said: Completion) -> dict[str, Any]:
        return self._message(head, [{"type": "text", "text": said.text}], said.finish_reason, self._usage(said))

    def begin(self, head: Head, prompt_tokens: int) -> Iterable[str]:
        message = self._message(head, [], None, {"input_tokens": prompt_tokens, "output_tokens": 0})
        yield event({"type": "message_start", "message": message}, "message_start")
        block = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
        yield event(block, "content_block_start")

    def piece(self, head: Head, text: str) -> str:
        delta = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}}
        return event(delta, "content_block_delta")

    def end(self, head: Head, said: Completion, usage_too: bool) -> Iterable[str]:
        yield event({"type": "content_block_stop", "index": 0}, "content_block_stop")
        delta = {"stop_reason": _reason(said.finish_reason), "stop_sequence": None}
        yield event({"type": "message_delta", "delta": delta, "usage": self._usage(said)}, "message_delta")
        yield event({"type": "message_stop"}, "message_stop")

    def error(self, refusal: Refusal) -> dict[str, Any]:
        kind = KINDS.get(refusal.status, "api_error" if refusal.status >= 500 else "invalid_request_error")
        return {"type": "error", "error": {"type": kind, "message": str(refusal)}}

    def _usage(self, said: Completion) -> dict[str, int]:
        return {"input_tokens": len(said.prompt_token_ids), "output_tokens": len(said.token_ids)}

    def _message(
        self, head: Head, content: list[dict[str, str]], reason: str | None, usage: dict[str, int]
    ) -> dict[str, Any]:
        return {
            "id": head.trace_id,
            "type": "message",
            "role": "assistant",
            "model": head.model,
            "content": content,
            "stop_reason": reason and _reason(reason),
            "stop_sequence": None,
            "usage": usage,
        }


def _reason(finish_reason: str) -> str:
    return "end_turn" if finish_reason == "stop" else "max_tokens"
