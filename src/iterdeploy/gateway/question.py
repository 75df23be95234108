"""What is asked and what is answered, whichever protocol says it."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from iterdeploy.gateway.refusal import Refusal
from iterdeploy.types import Completion

COLDEST = 0.01
"""A temperature of 0 is taken as this one, and recorded as it."""

Read = TypeVar("Read", bound=BaseModel)


class Body(BaseModel):
    """The body of a request: what it asks for is done, or it is refused."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")


class Part(Body):
    type: Literal["text"]
    text: str


class Message(Body):
    role: Literal["system", "developer", "user", "assistant"]
    content: str | Annotated[list[Part], Field(min_length=1)]

    @property
    def text(self) -> str:
        return self.content if isinstance(self.content, str) else "\n".join(part.text for part in self.content)


@dataclass(frozen=True, slots=True)
class Question:
    model: str
    prompt: str | tuple[int, ...] | tuple[tuple[str, str], ...]
    """Text, token ids, or (role, text) of each message."""
    stream: bool
    usage: bool
    """Whether a stream ends with the counts of tokens."""
    limit: int | None
    """Tokens that the answer may have."""
    temperature: float | None
    user: str | None

    @property
    def text(self) -> str:
        """What a task says of it: a single message of a user as it stands, everything else as JSON."""
        match self.prompt:
            case str(text) | (("user", str(text)),):
                return text
        return json.dumps(self.prompt, ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class Head:
    """What is known of an answer before its first word."""

    trace_id: str
    created: int
    """Unix time in seconds."""
    model: str
    """The full name, with the generation."""


class Form(Protocol):
    """How a client asks, and how it is answered."""

    def question(self, body: bytes) -> Question: ...

    def whole(self, head: Head, said: Completion) -> dict[str, Any]: ...

    def begin(self, head: Head, prompt_tokens: int) -> Iterable[str]:
        """Events of a stream before its first word."""
        ...

    def piece(self, head: Head, text: str) -> str: ...

    def end(self, head: Head, said: Completion, usage: bool) -> Iterable[str]: ...

    def error(self, refusal: Refusal) -> dict[str, Any]: ...


def read(kind: type[Read], body: bytes) -> Read:
    """The body as a record. Refusal, which names the field, for anything else."""
    try:
        return kind.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False, include_context=False)[0]
        where = ".".join(map(str, first["loc"]))
        said = "this cannot be honoured here" if first["type"] == "extra_forbidden" else first["msg"]
        raise Refusal(400, "invalid_request", f"{where}: {said}" if where else said) from None
    except RecursionError:
        raise Refusal(400, "invalid_request", "the JSON is nested too deeply") from None


def event(data: object, name: str = "") -> str:
    """One event of a stream."""
    text = data if isinstance(data, str) else json.dumps(data, separators=(",", ":"))
    return f"event: {name}\ndata: {text}\n\n" if name else f"data: {text}\n\n"


def warmth(temperature: float | None) -> float | None:
    return None if temperature is None else max(COLDEST, temperature)


def conversation(messages: Sequence[Message]) -> tuple[tuple[str, str], ...]:
    return tuple((message.role, message.text) for message in messages)
