"""A run's report over HTTP, for reading only, to this machine alone by default.

The pages forbid every script but their own and every request but to this server, and no other site's page may read an
answer. While only this machine is served, a request under another host's name is refused: such a name may have been
made to point here (DNS rebinding).
"""

import io
import json
import re
import socket
import sqlite3
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from iterdeploy.sections import UserError
from iterdeploy.view.connections import Arriving, Connections
from iterdeploy.view.shelves import FACETS, View, explained

LOOPBACK = ("127.0.0.1", "localhost", "::1")
POLICY = "default-src 'none'; frame-ancestors 'none'"
"""Of every answer that is not a page."""
MOST_TRACES = 200
"""In one answer."""


Content = bytes | str | dict[str, Any]
"""A page, a sentence, or data as JSON."""


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, host: str, port: int, view: View) -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.view = view
        self.connections = Connections()
        super().__init__((host, port), Handler)
        self.port = int(self.server_address[1])
        self.names = None if host not in LOOPBACK else {with_port(name, self.port) for name in LOOPBACK}
        """What a request may call this server; None: anything."""

    def verify_request(self, request: Any, client_address: Any) -> bool:
        return self.connections.open(request)

    def shutdown_request(self, request: Any) -> None:
        self.connections.close(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients hang up as they like; everything else is a bug, and is shown as one."""
        if not isinstance(sys.exc_info()[1], ConnectionError | TimeoutError):
            super().handle_error(request, client_address)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "iterdeploy"
    sys_version = ""
    server: Server

    def setup(self) -> None:
        super().setup()
        self._arriving = Arriving(self.connection)
        self.rfile = io.BufferedReader(self._arriving)

    def handle_one_request(self) -> None:
        self._arriving.begin()
        self.server.connections.waits(self.connection)
        super().handle_one_request()

    def do_GET(self) -> None:
        if self.server.names is not None and self.headers.get("Host", "").lower() not in self.server.names:
            return self._send(403, "This server answers only under the names of this machine itself.")
        try:
            status, content = self._answer()
        except (OSError, sqlite3.Error, UserError) as error:
            status, content = 503, f"The run cannot be read: {explained(error)}"
        return self._send(status, content)

    def _answer(self) -> tuple[int, Content]:
        """Status and content for what is asked."""
        try:
            asked = urlsplit(self.path)
        except ValueError:
            return 400, "This address cannot be understood."
        view = self.server.view
        match asked.path.split("/")[1:]:
            case [""]:
                return 200, view.page.html
            case ["api", "state"]:
                return 200, view.state()
            case ["api", "traces"]:
                return self._traces(asked.query)
            case ["api", "trace", trace_id]:
                try:
                    return 200, view.trace(unquote(trace_id))
                except KeyError:
                    return 404, "There is no such trace in this run."
        return 404, "There is nothing here; the page is at /."

    def _traces(self, query: str) -> tuple[int, Content]:
        try:
            given = dict(parse_qsl(query, max_num_fields=20))
        except ValueError:
            return 400, "At most 20 parameters can be given."
        after, limit = given.get("after", "0"), given.get("limit", "25")
        if not all(re.fullmatch(r"[0-9]{1,15}", number) for number in (after, limit)):
            return 400, "`after` and `limit` are whole numbers."
        filters = {name: given[name] for name in (*FACETS, "pool") if name in given}
        return 200, self.server.view.traces(filters, int(after), max(1, min(MOST_TRACES, int(limit))))

    def _refuse(self) -> None:
        self.close_connection = True  # a body that came along is not read
        self._send(405, "This server only lets read.")

    do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = do_TRACE = do_CONNECT = _refuse

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        self.close_connection = True
        self._send(code, message or "This request cannot be understood.")

    def _send(self, status: int, content: Content) -> None:
        self.server.connections.answers(self.connection)
        policy = POLICY
        if isinstance(content, bytes):
            kind, body = "text/html", content
            stated = re.search(rb'Content-Security-Policy" content="([^"]*)"', content)
            policy = f"{stated[1].decode() if stated else ''}; frame-ancestors 'none'"
        elif isinstance(content, dict):
            kind, body = "application/json", json.dumps(content, separators=(",", ":")).encode()
        else:
            kind, body = "text/plain", f"{content}\n".encode()
        self.send_response(status)
        headers = {
            "Content-Type": f"{kind}; charset=utf-8",
            "Content-Length": str(len(body)),
            "Content-Security-Policy": policy,
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
            "Cross-Origin-Resource-Policy": "same-origin",
            "Cache-Control": "no-store",
            **({"Allow": "GET"} if status == 405 else {}),
        }
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the terminal shows the address and stays quiet."""


def with_port(host: str, port: int) -> str:
    """
    >>> with_port("::1", 80)
    '[::1]:80'
    """
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
