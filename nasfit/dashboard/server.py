"""The site on a port of this machine: read only, for this machine alone."""

from __future__ import annotations

import errno
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from nasfit.dashboard.pages import message_page
from nasfit.dashboard.site import Reply, Site
from nasfit.errors import NasfitError, UsageError

HOST, PORT = "127.0.0.1", 8420
# A page of another name that leads here (DNS rebinding) is refused; the port may be that of a tunnel.
NAMES = frozenset(("127.0.0.1", "localhost"))
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class Server(ThreadingHTTPServer):
    """Answers until `shutdown`. port: None takes `PORT`, or any free one where that is taken; 0 any free one.

    Raises UsageError where the port asked for cannot be had.
    """

    daemon_threads = True

    def __init__(self, site: Site, port: int | None = None) -> None:
        self.site = site
        try:
            super().__init__((HOST, PORT if port is None else port), _Handler)
        except OSError as error:
            if port is None and error.errno == errno.EADDRINUSE:
                super().__init__((HOST, 0), _Handler)
                return
            raise UsageError(
                f"port {PORT if port is None else port} cannot be had ({error.strerror}); give another with --port, or "
                "none for any that is free"
            ) from error

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://{HOST}:{self.server_port}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that went away is no error; what else fails is told in one line."""
        error = sys.exc_info()[1]
        if not isinstance(error, ConnectionError | TimeoutError):
            print(f"a page could not be made ({type(error).__name__}: {error})", file=sys.stderr)


class _Handler(BaseHTTPRequestHandler):
    timeout = 30

    def version_string(self) -> str:
        return "nasfit"

    def log_message(self, *_: Any) -> None:
        """Nothing: a page asks every few seconds."""

    def do_GET(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        self._answer()

    def _answer(self) -> None:
        name = self.headers.get("Host", "").rpartition(":")[0] or self.headers.get("Host", "")
        if name not in NAMES:
            self._send(Reply(403, f"this dashboard answers to {' and '.join(sorted(NAMES))} only\n", "text/plain"))
            return
        server = self.server
        assert isinstance(server, Server), "made by it"
        try:
            reply = server.site.reply(self.path)
        except NasfitError as error:
            reply = Reply(503, message_page("This cannot be shown", str(error)))
        self._send(reply)

    def _send(self, reply: Reply) -> None:
        body = reply.body.encode()
        self.send_response(reply.status)
        for header, value in HEADERS.items():
            self.send_header(header, value)
        self.send_header("Content-Type", f"{reply.type}; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _refused(self) -> None:
        self.send_response(405)
        self.send_header("Allow", "GET, HEAD")
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _refused
