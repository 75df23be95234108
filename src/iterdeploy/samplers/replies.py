"""What servers of the OpenAI protocol send, as records, and what must hold before anything of it is believed.

A server is somebody else's program. Fields that are not known are ignored; those that are known have the type and the
range that they must have, or the whole reply is `Unusable`.
"""

import math
from collections.abc import Sequence
from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from iterdeploy.samplers.errors import Unusable

ROUNDING = 1e-4
"""Nats above 0 that a log-probability may have: in float32 it is the difference of two numbers of up to some hundreds,
each rounded to 1e-5. It is then recorded as 0."""

Said = TypeVar("Said", bound="Record")
Ids = Annotated[tuple[int, ...], Field(fail_fast=True)]
Numbers = Annotated[tuple[float | None, ...], Field(fail_fast=True)]


class Record(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True)


class Logprobs(Record):
    token_logprobs: Numbers | None = None


class Message(Record):
    content: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None


class Choice(Record):
    finish_reason: Literal["stop", "length"]
    text: str | None = None
    message: Message | None = None
    """For chat, instead of `text`."""
    token_ids: Ids | None = None
    """The sampled ids, from servers that return them."""
    logprobs: Logprobs | None = None

    @property
    def values(self) -> Sequence[float | None] | None:
        """One log-probability for each token in order; of an echoed prompt's first token there is none."""
        return None if self.logprobs is None else self.logprobs.token_logprobs

    @property
    def whole_text(self) -> str:
        """The answer as text. Reasoning that the server keeps in a field of its own is put back to where it was."""
        message = self.message or Message()
        text = self.text if self.text is not None else message.content
        thought = message.reasoning_content or message.reasoning
        if text is None and thought is None:
            raise Unusable("it has no text")
        text = text or ""
        return f"<think>\n{thought.strip()}\n</think>\n{text}" if thought else text


class Answer(Record):
    choices: tuple[Choice]
    """One, since one was asked for."""
    model: str | None = None
    """The name of the model that answered."""


class Model(Record):
    id: str


class Models(Record):
    data: Annotated[tuple[Model, ...], Field(min_length=1)]


def parsed(kind: type[Said], content: bytes) -> Said:
    """The record that the JSON says. Unusable if it is not JSON, or another thing."""
    try:
        return kind.model_validate_json(content)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False, include_context=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise Unusable(f"not what was asked for: {where}{': ' if where else ''}{first['msg']}") from None


def checked_ids(ids: Sequence[int], vocabulary: int, most: int) -> Sequence[int]:
    """The ids, if there are as many as may be and all are of the vocabulary."""
    if not 0 < len(ids) <= most:
        raise Unusable(f"{len(ids)} tokens where 1 to {most} were asked for")
    if strange := [token for token in ids if not 0 <= token < vocabulary]:
        raise Unusable(f"token id {strange[0]} is not one of the model's {vocabulary}")
    return ids


def checked_logprobs(values: Sequence[float | None], count: int) -> list[float]:
    """The log-probabilities of `count` tokens, if they are some."""
    if len(values) != count:
        raise Unusable(f"{len(values)} log-probabilities for {count} tokens")
    found = []
    for value in values:
        if value is None or not math.isfinite(value) or value > ROUNDING:
            raise Unusable(f"a log-probability is {value}")
        found.append(min(0.0, value))
    return found
