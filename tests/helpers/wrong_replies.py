"""The ways in which a server goes wrong: whole replies, down to the bytes of their headers."""

import json
import socket
import struct
from base64 import b64encode
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from helpers.misbehaving import END, KEY, VOCABULARY, Exchange, Reply, Wrong, right


def content(make: Callable[[Reply], bytes]) -> Wrong:
    """Whole replies of status 200 whose body is made of what would be right."""
    return lambda exchange: exchange.reply(make(right(exchange.body)))


def changed(**fields: Any) -> Wrong:
    """One field of the answer is another one; `...` takes it away, a function is given what would be right."""

    def make(reply: Reply) -> bytes:
        (choice,) = reply["choices"]
        for name, value in fields.items():
            where = reply if name in ("choices", "model") else choice
            where[name] = value(where[name]) if callable(value) else value
            if value is ...:
                del where[name]
        return json.dumps(reply).encode()

    return content(make)


def token(value: Any) -> Wrong:
    return changed(token_ids=lambda ids: [ids[0], value, *ids[2:]])


def logprob(value: Any) -> Wrong:
    return changed(logprobs=lambda found: {"token_logprobs": [value, *found["token_logprobs"][1:]]})


def said(text: str | bytes) -> Wrong:
    whole = text if isinstance(text, bytes) else text.encode()
    return content(lambda _: whole)


def status(line: str, *headers: str) -> Wrong:
    return lambda exchange: exchange.reply(b'{"error": "told to fail"}', line, *headers)


def raw(*pieces: bytes, pause: float = 0.0) -> Wrong:
    """These bytes, and then the connection is closed."""
    return lambda exchange: exchange.send(*pieces, pause=pause)


def cut(share: float, length: bool) -> Wrong:
    """The beginning of the right reply, with the length that the whole would have or without any."""

    def send(exchange: Exchange) -> None:
        whole = json.dumps(right(exchange.body)).encode()
        head = f"Content-Length: {len(whole)}\r\n" if length else "Connection: close\r\n"
        exchange.send(f"HTTP/1.1 200 OK\r\n{head}\r\n".encode(), whole[: int(share * len(whole))])

    return send


def endless(head: bytes, piece: bytes, pause: float = 0.0) -> Wrong:
    def send(exchange: Exchange) -> None:
        exchange.send(head)
        while not exchange.over.is_set():
            exchange.send(piece, pause=pause)

    return send


def silent(*first: bytes) -> Wrong:
    def send(exchange: Exchange) -> None:
        exchange.send(*first)
        exchange.over.wait()

    return send


def reset(exchange: Exchange) -> None:
    exchange.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def echo(line: str = "200 OK", write: Callable[[str], str] = str) -> Wrong:
    """The key, written in some way, in the body of a reply."""
    return lambda exchange: exchange.reply(f"invalid credential {write(KEY)}".encode(), line)


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
DEEP = "[" * 100_000

NOT_ANSWERS: dict[str, Wrong] = {
    "choices empty": changed(choices=[]),
    "choices null": changed(choices=None),
    "choices missing": changed(choices=...),
    "choices a string": changed(choices="stop"),
    "choices of null": changed(choices=[None]),
    "choices of strings": changed(choices=["stop"]),
    "choices of nothing": changed(choices=[{}]),
    "choices an object": changed(choices=lambda found: found[0]),
    "two choices": changed(choices=lambda found: found * 2),
    "finish_reason null": changed(finish_reason=None),
    "finish_reason missing": changed(finish_reason=...),
    "finish_reason abort": changed(finish_reason="abort"),
    "finish_reason content_filter": changed(finish_reason="content_filter"),
    "finish_reason a number": changed(finish_reason=5),
    "finish_reason the key": changed(finish_reason=KEY),
    "token_ids a string": changed(token_ids="abc"),
    "token_ids a number": changed(token_ids=7),
    "token_ids an object": changed(token_ids={"0": 5}),
    "token_ids too many": changed(token_ids=[5] * 8000 + [END], logprobs={"token_logprobs": [-1] * 8001}),
    "token_ids one too many": changed(token_ids=[5] * 80 + [END], logprobs={"token_logprobs": [-1] * 81}),
    "a token negative": token(-1),
    "a token after the last": token(VOCABULARY),
    "a token of 2**32": token(2**32),
    "a token of 10**30": token(10**30),
    "a token a float": token(5.0),
    "a token half": token(5.5),
    "a token a string": token("5"),
    "a token null": token(None),
    "a token true": token(True),
    "a token a list": token([5]),
    "a token the key": token(KEY),
    "logprobs a list": changed(logprobs=[-1.0]),
    "logprobs fewer": changed(logprobs={"token_logprobs": [-1.0]}),
    "logprobs more": changed(logprobs={"token_logprobs": [-1.0] * 9}),
    "logprobs none": changed(logprobs={"token_logprobs": []}),
    "a logprob NaN": logprob(float("nan")),
    "a logprob infinite": logprob(float("inf")),
    "a logprob minus infinite": logprob(float("-inf")),
    "a logprob null": logprob(None),
    "a logprob of 5": logprob(5.0),
    "a logprob of 0.01": logprob(0.01),
    "a logprob a string": logprob("-1"),
    "a logprob of 1e400": content(lambda reply: json.dumps(reply).replace("-0.5]", "-1e400]").encode()),
    "model a number": changed(model=7),
    "model a list": changed(model=["embedded"]),
    "no body": said(""),
    "null": said("null"),
    "a list": said("[]"),
    "a number": said("5"),
    "a string": said('"stop"'),
    "nothing": said("{}"),
    "an error": said('{"error": {"message": "overloaded", "code": 500}}'),
    "HTML": said("<!doctype html><html><body><h1>Welcome</h1></body></html>"),
    "text": said("Internal Server Error"),
    "control characters": said("\x1b[2J\x1b[31m\x07\x00\u202e red"),
    "two documents": content(lambda reply: 2 * json.dumps(reply).encode()),
    "half a document": content(lambda reply: json.dumps(reply).encode()[:60]),
    "not UTF-8": content(lambda reply: b"\xff" + json.dumps(reply).encode()),
    "UTF-16": content(lambda reply: json.dumps(reply).encode("utf-16")),
    "NUL bytes": said(b"\0" * 1000),
    "deep": said(DEEP),
    "deep choices": said('{"choices": ' + DEEP),
    "deep choice": said('{"choices": [{"finish_reason": "stop", "token_ids": ' + DEEP),
    "deep unknown": said('{"unknown": ' + '{"a":' * 100_000),
    "a number of 5,000 digits": token(10**4000),
    "bad number": content(lambda reply: json.dumps(reply).replace("-0.5]", "-.5]").encode()),
    "8 MB of spaces": said(b" " * 2**23),
    "8 MB of text": content(lambda reply: json.dumps({**reply, "more": "x" * 2**23}).encode()),
}
"""Replies of status 200 that are none."""

NOT_HTTP: dict[str, Wrong] = {
    "closed": raw(),
    "reset": reset,
    "half a status line": raw(b"HTTP/1.1 2"),
    "no status": raw(b"HTTP/1.1\r\n\r\n"),
    "another protocol": raw(b"SSH-2.0-OpenSSH_9.6\r\n"),
    "HTTP 0.9": raw(b"<html>hello</html>"),
    "half of the headers": raw(b"HTTP/1.1 200 OK\r\nContent-Type: app"),
    "a header without a name": raw(b"HTTP/1.1 200 OK\r\n: x\r\n\r\n"),
    "the key in a header": raw(f"HTTP/1.1 200 OK\r\n{KEY}\r\n\r\n".encode()),
    "the key for a status": raw(f"HTTP/1.1 {KEY}\r\n\r\n".encode()),
    "two lengths": raw(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd"),
    "a negative length": raw(b"HTTP/1.1 200 OK\r\nContent-Length: -3\r\n\r\nabc"),
    "a length in words": raw(b"HTTP/1.1 200 OK\r\nContent-Length: three\r\n\r\nabc"),
    "a length of 10**30": raw(b"HTTP/1.1 200 OK\r\nContent-Length: 1" + b"0" * 30 + b"\r\n\r\nabc"),
    "an unknown encoding": raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: rot13\r\n\r\nabc"),
    "a chunk without a size": raw(CHUNKED, b"size\r\nabc\r\n"),
    "half a chunk": raw(CHUNKED, b"ff\r\nabc"),
    "a chunk of 2**70": raw(CHUNKED, b"4" + b"0" * 17 + b"\r\nabc"),
    "half a body": cut(0.5, length=True),
    "half a body without a length": cut(0.5, length=False),
    "all but the last byte": cut(0.99, length=True),
    "a header of 1 MB": raw(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 2**20 + b"\r\nContent-Length: 0\r\n\r\n"),
    "endless headers": endless(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n" * 1000),
    "endless body": endless(b"HTTP/1.1 200 OK\r\n\r\n", b" " * 2**16),
    "endless chunks": endless(CHUNKED, b"1000\r\n" + b" " * 4096 + b"\r\n"),
    "endless continue": endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 100, 0.01),
    "compressed": lambda exchange: exchange.reply(b"\x1f\x8b\x08" + b"\0" * 100, "200 OK", "Content-Encoding: gzip"),
    "compressed twice": lambda exchange: exchange.reply(b"\x1f\x8b\x08", "200 OK", "Content-Encoding: gzip, br"),
}
"""Replies that are broken below the level of JSON."""

SLOW: dict[str, Wrong] = {
    "never": silent(),
    "never after the headers": silent(b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n"),
    "never after half of the headers": silent(b"HTTP/1.1 200 OK\r\nContent-"),
    "never after half of the body": silent(b'HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n{"choices'),
    "byte by byte": endless(b"HTTP/1.1 200 OK\r\n\r\n", b" ", 0.05),
    "headers byte by byte": endless(b"HTTP/1.1 200 OK\r\nX: ", b"y", 0.05),
    "chunk by chunk": endless(CHUNKED, b"1\r\n \r\n", 0.05),
}
"""Replies that do not end in time."""

BUSY: dict[str, Wrong] = {
    **{f"status {code}": status(f"{code} Told") for code in (204, 202, 206, 408, 409, 425, 429)},
    **{f"status {code}": status(f"{code} Told") for code in (500, 501, 502, 503, 504, 529, 599, 999)},
    "429 with a number": status("429 Told", "Retry-After: 0.01"),
    "429 with a date": status("429 Told", "Retry-After: Fri, 31 Dec 1999 23:59:59 GMT"),
    "429 with nonsense": status("429 Told", "Retry-After: soon"),
    "429 with a negative number": status("429 Told", "Retry-After: -5"),
    "429 with NaN": status("429 Told", "Retry-After: nan"),
    "429 with a date without a zone": status("429 Told", "Retry-After: Fri, 31 Dec 1999 23:59:59"),
    "429 with a date beyond all": status("429 Told", "Retry-After: Fri, 99 Dec 99999 99:99:99 GMT"),
}
"""Status codes after which the same request may succeed."""

REFUSED_ONCE: dict[str, Wrong] = {f"status {code}": status(f"{code} Told") for code in (400, 413, 422)}
"""Status codes that are about the one request."""

REFUSED: dict[str, Wrong] = {
    **{f"status {code}": status(f"{code} Told") for code in (401, 402, 403, 404, 405, 410, 418, 451)},
    **{f"status {code}": status(f"{code} Told", "Location: http://127.0.0.1:9/v1") for code in (301, 302, 307, 308)},
    "304 with nothing": raw(b"HTTP/1.1 304 Not Modified\r\n\r\n"),
}
"""Status codes that are about whoever asks; redirections are not followed."""

KEYS: dict[str, Wrong] = {
    "the key": echo(),
    "the key as JSON": echo(write=lambda key: json.dumps({"error": key})),
    "the key as Python": echo(write=repr),
    "the key in an address": echo(write=quote),
    "the key in a whole address": echo(write=lambda key: quote(key, safe="")),
    "the key as a header": echo(write=lambda key: f"Authorization: Bearer {key}"),
    "the key in base64": echo(write=lambda key: b64encode(key.encode()).decode()),
    "the header in base64": echo(write=lambda key: b64encode(f"Bearer {key}".encode()).decode()),
    "user and key in base64": echo(write=lambda key: b64encode(f"me:{key}".encode()).decode()),
    "the key in UTF-16": content(lambda _: KEY.encode("utf-16-le")),
    "the key after 290 signs": echo(write=lambda key: "x" * 265 + key),
    "the key with status 500": echo("500 Told"),
    "the key in a status": echo(f"500 {KEY}"),
    "the key in model": changed(model={"name": KEY}),
    "the key in choices": changed(choices=KEY),
}
"""The key, in replies that cannot be used."""

ONE = {**NOT_ANSWERS, **NOT_HTTP, **SLOW, **BUSY, **REFUSED_ONCE, **KEYS}
"""What may happen to one request while all others are answered: that one is an ERROR."""

WHOLE = {**ONE, **REFUSED}
"""What may happen to all requests: the run ends."""

ONLY_LATER: dict[str, Wrong] = {
    "token_ids missing": changed(token_ids=...),
    "token_ids null": changed(token_ids=None),
    "token_ids empty": changed(token_ids=[], logprobs={"token_logprobs": []}),
    "no end mark": changed(
        token_ids=lambda ids: ids[:-1], logprobs=lambda found: {"token_logprobs": found["token_logprobs"][:-1]}
    ),
    "logprobs missing": changed(logprobs=...),
    "logprobs null": changed(logprobs=None),
    "token_logprobs missing": changed(logprobs={}),
    "token_logprobs null": changed(logprobs={"token_logprobs": None}),
    "another model": changed(model="another"),
    "the key for a model": changed(model=KEY),
}
"""What a server may be like from the beginning, but may not become."""
