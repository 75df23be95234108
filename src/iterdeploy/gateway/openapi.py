"""The gateway's own API as an OpenAPI document, made from the models that check its requests."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from iterdeploy import __version__
from iterdeploy.gateway.anthropic import MessagesBody
from iterdeploy.gateway.callers import RETENTION, TRAIN, USER
from iterdeploy.gateway.deciding import ActBody
from iterdeploy.gateway.feedback import FeedbackBody
from iterdeploy.gateway.openai import ChatBody, TextBody

Schema = dict[str, Any]
REF = "#/components/schemas/{model}"
NAME = {"type": "string", "minLength": 1, "maxLength": 200}
REFUSALS = {
    400: "the request cannot be honoured; the message names the field",
    401: "a valid key is needed",
    403: "the key does not allow it, or a page of another site asks",
    404: "the model, trace or session does not exist",
    408: "the request took too long to arrive",
    409: "the trace was forgotten",
    413: "the request is too large",
    415: "the request is not JSON",
    422: "the Idempotency-Key was used for another question",
    429: "too many requests; Retry-After says when to come back",
    502: "the model gave no answer",
    503: "the answer could not be stored, or the model is away",
}
"""Status -> what it means."""
READING = (400, 401, 403, 429, 503)
WRITING = (*READING, 404, 408, 413, 415)


@dataclass(frozen=True, slots=True)
class Operation:
    method: str
    path: str
    summary: str
    answer: Schema
    """Schema of what a request is answered with."""
    refused: Sequence[int] = READING
    body: type[BaseModel] | None = None
    status: int = 200
    headers: Sequence[str] = ()
    """Of the request, by their names in `HEADERS`."""
    streams: bool = False


def _object(**properties: Schema) -> Schema:
    return {"type": "object", "required": list(properties), "properties": properties}


def _list(items: Schema) -> Schema:
    return {"type": "array", "items": items}


TEXT: Schema = {"type": "string"}
COUNT: Schema = {"type": "integer", "minimum": 0}
ERROR = _object(error=_object(message=TEXT, type=TEXT))
CHOICE = _object(index=COUNT, finish_reason=TEXT)
USAGE = _object(prompt_tokens=COUNT, completion_tokens=COUNT, total_tokens=COUNT)
COMPLETION = _object(id=TEXT, object=TEXT, created=COUNT, model=TEXT, choices=_list(CHOICE), usage=USAGE)
MESSAGE = _object(
    id=TEXT,
    type=TEXT,
    role=TEXT,
    model=TEXT,
    content=_list(_object(type=TEXT, text=TEXT)),
    usage=_object(input_tokens=COUNT, output_tokens=COUNT),
)
GIVEN = _object(id=TEXT, trace=TEXT, validator=_object(status=TEXT, reason=TEXT))
NUMBER: Schema = {"type": "number"}
MAYBE: Schema = {"type": ["integer", "null"]}
ACT = _object(at=TEXT, who=TEXT, act=TEXT, details={"type": "object"})
HEADERS: dict[str, Schema] = {
    "Idempotency-Key": NAME,
    USER: {"type": "string", "maxLength": 200},
    TRAIN: {"enum": ["yes", "no"]},
    RETENTION: {"type": "integer", "minimum": 1, "maximum": 36_500},
}
ASKED = ("Idempotency-Key", USER, TRAIN, RETENTION)
QUESTIONS: Sequence[tuple[str, str, Schema, type[BaseModel]]] = (
    ("/v1/chat/completions", "asks with messages, in OpenAI's protocol", COMPLETION, ChatBody),
    ("/v1/completions", "asks with a text or token ids, in OpenAI's protocol", COMPLETION, TextBody),
    ("/v1/messages", "asks with messages, in Anthropic's protocol", MESSAGE, MessagesBody),
)
"""Path, what it does, how it answers, what it is asked with."""
MODELS = _object(object=TEXT, data=_list(_object(id=TEXT)))
PREFIXES = ("", "/s/{session}")
OPERATIONS = [
    *(
        Operation("post", f"{prefix}{path}", says, answer, (*WRITING, 422, 502), body, headers=ASKED, streams=True)
        for prefix in PREFIXES
        for path, says, answer, body in QUESTIONS
    ),
    *(
        Operation("get", f"{prefix}/v1/models", "lists the models", MODELS, (*READING, 404))
        for prefix in PREFIXES
    ),
    Operation(
        "post",
        "/v1/feedback",
        "says what an answer, or all of a session, is worth",
        _object(id=TEXT, feedback=_list(GIVEN)),
        (*WRITING, 409),
        FeedbackBody,
        201,
        ASKED,
    ),
    Operation("get", "/v1/inbox", "lists answers that nobody has judged", _object(traces=_list(TEXT))),
    Operation("get", "/v1/traces/{trace}", "shows an answer", _object(id=TEXT, prompt=TEXT, text=TEXT, status=TEXT),
              (*READING, 404)),
    Operation("get", "/v1/acts", "lists what was decided, the newest last", _object(acts=_list(ACT))),
    Operation(
        "post",
        "/v1/acts",
        "lets a generation serve, takes one back, or tries one on a share of the requests",
        _object(promoted=COUNT, canary=MAYBE, share=NUMBER),
        WRITING,
        ActBody,
        201,
    ),
    Operation("get", "/v1/example", "gives a prompt that the validator knows", _object(prompt=TEXT)),
]  # fmt: skip


def document() -> Schema:
    """The whole document."""
    bodies = [operation.body for operation in OPERATIONS if operation.body is not None]
    _, schemas = models_json_schema([(body, "validation") for body in dict.fromkeys(bodies)], ref_template=REF)
    paths: dict[str, Schema] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method] = _described(operation)
    key = {"description": "needed as soon as the deployment has keys"}
    return {
        "openapi": "3.1.0",
        "info": {"title": "An iterdeploy deployment", "version": __version__},
        "paths": paths,
        "security": [{}, {"bearer": []}, {"header": []}],
        "components": {
            "schemas": {**schemas["$defs"], "Error": ERROR},
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", **key},
                "header": {"type": "apiKey", "in": "header", "name": "X-Api-Key", **key},
            },
        },
    }


def _described(operation: Operation) -> Schema:
    answer: Schema = {"application/json": {"schema": operation.answer}}
    if operation.streams:
        answer["text/event-stream"] = {"schema": TEXT}
    refused = {"application/json": {"schema": {"$ref": REF.format(model="Error")}}}
    responses: Schema = {str(operation.status): {"description": operation.summary, "content": answer}}
    responses |= {str(s): {"description": REFUSALS[s], "content": refused} for s in sorted(operation.refused)}
    places = [name for name in ("session", "trace") if f"{{{name}}}" in operation.path]
    found: Schema = {
        "summary": operation.summary,
        "parameters": [
            *({"name": name, "in": "path", "required": True, "schema": NAME} for name in places),
            *({"name": name, "in": "header", "schema": HEADERS[name]} for name in operation.headers),
        ],
        "responses": responses,
    }
    if operation.body is not None:
        schema = {"$ref": REF.format(model=operation.body.__name__)}
        found["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    return found
