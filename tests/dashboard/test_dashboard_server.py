"""The port: for this machine alone, for reading alone."""

from __future__ import annotations

import socket
from collections.abc import Callable
from http.client import HTTPConnection
from pathlib import Path

import pytest

from nasfit.dashboard import Server, Site, Watch
from nasfit.dashboard.server import PORT
from nasfit.errors import UsageError

Served = Callable[[Path], Server]


def asked(server: Server, method: str, address: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
    connection = HTTPConnection("127.0.0.1", server.server_port, timeout=20)
    try:
        connection.request(method, address, headers=headers)
        reply = connection.getresponse()
        return reply.status, {name.lower(): value for name, value in reply.getheaders()}, reply.read()
    finally:
        connection.close()


def test_it_listens_on_this_machine_alone(finished: Path, served: Served) -> None:
    server = served(finished)
    assert server.server_address[0] == "127.0.0.1"
    assert server.url == f"http://127.0.0.1:{server.server_port}"


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8420", "127.0.0.1.evil.example", "localhost.", "", "[::1]:1"]
)
def test_a_page_of_another_name_gets_nothing(finished: Path, served: Served, host: str) -> None:
    status, _, body = asked(served(finished), "GET", "/", Host=host)
    assert status == 403 and b"trial" not in body


@pytest.mark.parametrize("host", ["localhost", "localhost:9000", "127.0.0.1:1"])
def test_a_tunnel_may_have_another_port(finished: Path, served: Served, host: str) -> None:
    assert asked(served(finished), "GET", "/", Host=host)[0] == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_nothing_can_be_sent(finished: Path, served: Served, method: str) -> None:
    status, headers, body = asked(served(finished), method, "/", Origin="http://evil.example")
    assert (status, headers["allow"], body) == (405, "GET, HEAD", b"")
    assert not [name for name in headers if name.startswith("access-control")]


def test_head_is_get_without_its_body(finished: Path, served: Served) -> None:
    server = served(finished)
    _, headers, body = asked(server, "GET", "/trials")
    status, same, nothing = asked(server, "HEAD", "/trials")
    assert (status, nothing) == (200, b"")
    assert same["content-length"] == headers["content-length"] == str(len(body))


def test_headers_forbid_what_the_page_does_not_need(finished: Path, served: Served) -> None:
    server = served(finished)
    for address in ("/", "/live", "/dashboard.js", "/dashboard.css", "/nothing"):
        _, headers, _ = asked(server, "GET", address, Origin="http://evil.example")
        assert headers["content-security-policy"].startswith("default-src 'none'; style-src 'self'; script-src 'self'")
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cross-origin-resource-policy"] == "same-origin"
        assert headers["cache-control"] == "no-store"
        assert "access-control-allow-origin" not in headers
    assert asked(server, "GET", "/dashboard.js")[1]["content-type"] == "text/javascript; charset=utf-8"


def test_a_port_that_is_taken_is_an_error_only_where_it_was_asked_for(
    finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert 1024 < PORT < 32768
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        site = Site(Watch(finished))
        with pytest.raises(UsageError, match=f"port {port} cannot be had .*--port"):
            Server(site, port)
        monkeypatch.setattr("nasfit.dashboard.server.PORT", port)
        with Server(site) as server:
            assert server.server_port not in (0, port)
