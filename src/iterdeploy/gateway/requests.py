"""What comes in from the network: bounded in size and time, and only from where it may come."""

import asyncio
from urllib.parse import urlsplit

from starlette.requests import Request

from iterdeploy.config_deployment import DeploymentConfig
from iterdeploy.gateway.refusal import Refusal, too_slow

LOOPBACK = ("127.0.0.1", "localhost", "::1")
LONGEST_NAME = 200


async def body_of(request: Request, terms: DeploymentConfig) -> bytes:
    """The whole body. Refusal for one that is too long, too slow, or no JSON."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise Refusal(415, "not_json", "send JSON, with Content-Type: application/json")
    body = bytearray()
    try:
        async with asyncio.timeout(terms.request_seconds):
            async for piece in request.stream():
                body += piece
                if len(body) > terms.max_body:
                    raise Refusal(413, "too_large", f"a request has up to {terms.max_body:,} bytes")
    except TimeoutError:
        raise too_slow(terms.request_seconds) from None
    return bytes(body)


def check_source(request: Request, names: frozenset[str] | None) -> None:
    """Refusal for a request that a page of another site made, or that was meant for another name.

    `names`: by which this server may be called; None: any.
    """
    host = request.headers.get("host", "").lower()
    if names is not None and host not in names:
        raise Refusal(403, "wrong_host", "this server answers only under the names of this machine itself")
    origin = request.headers.get("origin")
    if origin is not None and urlsplit(origin).netloc.lower() != host:
        raise Refusal(403, "wrong_origin", "pages of other sites may not ask this server")


def retry_of(request: Request, key: str) -> str | None:
    """The Idempotency-Key, apart from those of other keys."""
    said = request.headers.get("idempotency-key")
    if said is None:
        return None
    return f"{key}/{short_name(said, 'Idempotency-Key')}"


def session_of(request: Request) -> str:
    said = request.path_params.get("session")
    return "" if said is None else short_name(str(said), "the session")


def short_name(text: str, what: str) -> str:
    if not (0 < len(text) <= LONGEST_NAME and text.isprintable()):
        raise Refusal(400, "invalid_request", f"{what} has up to {LONGEST_NAME} printable characters")
    return text
