"""The routes: each reads a request, asks the rest of the room, and writes what came of it."""

import asyncio
import json
import logging
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable

from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from iterdeploy.gateway.answering import Answer, Answering, unavailable
from iterdeploy.gateway.anthropic import Anthropic
from iterdeploy.gateway.callers import Rates, caller, identify
from iterdeploy.gateway.deciding import ActBody, acts, decide
from iterdeploy.gateway.deployed import Deployed
from iterdeploy.gateway.feedback import FeedbackBody, give
from iterdeploy.gateway.inbox import example, shown, waiting
from iterdeploy.gateway.openai import OpenAi
from iterdeploy.gateway.openapi import document
from iterdeploy.gateway.page import page
from iterdeploy.gateway.question import Form, Question, read
from iterdeploy.gateway.question import event as event_of
from iterdeploy.gateway.refusal import Refusal
from iterdeploy.gateway.requests import body_of, check_source, retry_of, session_of
from iterdeploy.gateway.turning import Turning
from iterdeploy.gateway.writer import Writer
from iterdeploy.record.standing import Key
from iterdeploy.sections import UserError

LOG = logging.getLogger(__name__)
Handler = Callable[[Request], Awaitable[Response]]
SAFE = {
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
"""Headers of every answer."""
CHAT, TEXT, MESSAGES = OpenAi(chat=True), OpenAi(chat=False), Anthropic()


class Gateway:
    """The application. `names`: by which it may be called; None: any, and then keys are needed."""

    def __init__(
        self,
        deployed: Deployed,
        answering: Answering,
        writer: Writer,
        turning: Turning,
        names: frozenset[str] | None,
    ) -> None:
        self._deployed = deployed
        self._answering = answering
        self._writer = writer
        self._turning = turning
        self._names = names
        self._rates = Rates(deployed.terms.requests_per_minute)

    def app(self) -> Starlette:
        asked: list[tuple[str, Form]] = [
            ("/v1/chat/completions", CHAT),
            ("/v1/completions", TEXT),
            ("/v1/messages", MESSAGES),
        ]
        routes = [
            Route(prefix + path, self._guarded(form, self._asking(form)), methods=["POST"])
            for path, form in asked
            for prefix in ("", "/s/{session}")
        ]
        routes.append(Route("/v1/feedback", self._guarded(CHAT, self._feedback), methods=["POST"]))
        routes.append(Route("/v1/acts", self._guarded(CHAT, self._decide), methods=["POST"]))
        for path, handler in (
            ("/", self._page), ("/v1/inbox", self._inbox), ("/v1/example", self._example),
            ("/v1/traces/{trace}", self._trace), ("/v1/acts", self._acts), ("/openapi.json", self._document),
        ):  # fmt: skip
            routes.append(Route(path, self._guarded(CHAT, handler)))
        models = self._guarded(CHAT, self._models)
        routes += [Route(prefix + "/v1/models", models) for prefix in ("", "/s/{session}")]
        handlers = {HTTPException: self._other}
        return Starlette(routes=routes, exception_handlers=handlers)

    def _guarded(self, form: Form, handler: Handler) -> Handler:
        """The handler, in which what is refused, and what fails, becomes an answer in the client's own form."""

        async def guarded(request: Request) -> Response:
            try:
                check_source(request, self._names)
                response = await handler(request)
            except Exception as error:
                refusal = _refusal(error)
                response = JSONResponse(form.error(refusal), refusal.status, refusal.headers)
            response.headers.update(SAFE)
            return response

        return guarded

    def _asking(self, form: Form) -> Handler:
        async def ask(request: Request) -> Response:
            key = self._key(request, "ask")
            question = form.question(await body_of(request, self._deployed.terms))
            who = caller(key, request.headers, question.user, self._deployed.terms)
            answer = await self._answering.begin(question, who, session_of(request), retry_of(request, key.name))
            headers = {
                "X-Iterdeploy-Trace": answer.head.trace_id,
                "X-Iterdeploy-Generation": str(answer.generation),
                "X-Iterdeploy-Policy": answer.policy_id,
            }
            if question.stream:
                events = self._stream(form, answer, question, request)
                return StreamingResponse(events, headers=headers, media_type="text/event-stream")
            return await self._whole(form, answer, request, headers)

        return ask

    async def _whole(self, form: Form, answer: Answer, request: Request, headers: dict[str, str]) -> Response:
        said = await asyncio.shield(answer.work)
        response = JSONResponse(form.whole(answer.head, said), headers=headers)
        if not await request.is_disconnected():
            response.background = BackgroundTask(self._answering.delivered, answer)
        return response

    async def _stream(self, form: Form, answer: Answer, question: Question, request: Request) -> AsyncIterator[str]:
        try:
            for event in form.begin(answer.head, answer.prompt_tokens):
                yield event
            sent = ""
            async for piece in answer.pieces():
                yield form.piece(answer.head, piece)
                sent += piece
            said = await asyncio.shield(answer.work)
            if said.text.startswith(sent) and said.text != sent:
                yield form.piece(answer.head, said.text[len(sent) :])
            gone = await request.is_disconnected()
            for event in form.end(answer.head, said, question.usage):
                yield event
            if not gone:
                self._answering.delivered(answer)
        except Exception as error:
            yield event_of(json.dumps(form.error(_refusal(error))))
        finally:
            if not answer.work.done():
                self._answering.abandon(answer)

    async def _feedback(self, request: Request) -> Response:
        key = self._key(request, "judge")
        said = read(FeedbackBody, await body_of(request, self._deployed.terms))
        who = caller(key, request.headers, said.user, self._deployed.terms)
        retry = retry_of(request, key.name)
        judged = await self._writer.do(lambda traffic: give(traffic, said, who, retry))
        self._turning.look()
        found = [
            {"id": one.id, "trace": one.trace, "validator": {"status": one.status, "reason": one.reason}}
            for one in judged
        ]
        return JSONResponse({"id": judged[0].id, "feedback": found}, 201)

    async def _decide(self, request: Request) -> Response:
        key = self._key(request, "administer")
        said = read(ActBody, await body_of(request, self._deployed.terms))
        return JSONResponse(decide(self._deployed, said, key), 201)

    async def _acts(self, request: Request) -> Response:
        self._key(request, "administer")
        return JSONResponse({"acts": acts(self._deployed)})

    async def _document(self, request: Request) -> Response:
        return JSONResponse(document())

    async def _models(self, request: Request) -> Response:
        self._key(request, "ask")
        session_of(request)
        name = self._deployed.name
        names = [name, *(f"{name}@g{generation}" for generation in self._deployed.generations())]
        models = [{"id": model, "object": "model", "created": 0, "owned_by": "iterdeploy"} for model in names]
        return JSONResponse({"object": "list", "data": models})

    async def _page(self, request: Request) -> Response:
        return HTMLResponse(page().html, headers={"Content-Security-Policy": page().policy})

    async def _inbox(self, request: Request) -> Response:
        self._key(request, "judge")
        return JSONResponse({"traces": waiting(self._deployed)})

    async def _trace(self, request: Request) -> Response:
        key = self._key(request, "")
        return JSONResponse(shown(self._deployed, request.path_params["trace"], key))

    async def _example(self, request: Request) -> Response:
        self._key(request, "ask")
        return JSONResponse({"prompt": example(self._deployed)})

    def _key(self, request: Request, scope: str) -> Key:
        """The key that the request shows, which must allow what `scope` says, and may not ask too often."""
        key = identify(request.headers, self._deployed.standing(), scope, self._names is None)
        self._rates.take(key.name)
        return key

    async def _other(self, request: Request, error: Exception) -> Response:
        """What the routes themselves refuse."""
        assert isinstance(error, HTTPException)
        refusal = Refusal(error.status_code, "not_found" if error.status_code == 404 else "refused", error.detail)
        return JSONResponse(CHAT.error(refusal), error.status_code, {**(error.headers or {}), **SAFE})


def _refusal(error: Exception) -> Refusal:
    """What a failure is to a client. What it was stands in the log."""
    if isinstance(error, Refusal):
        return error
    if isinstance(error, sqlite3.Error | OSError | UserError):
        LOG.error("a request failed: %s", error)
        return unavailable(error)
    LOG.error("a request failed", exc_info=error)
    return Refusal(500, "internal_error", "this request failed; the server's log says why")
