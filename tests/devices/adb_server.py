"""An adb server with phones that are not there: the host protocol over TCP, on a port of its own."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import struct
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from adb_phone import FakePhone

UNAUTHORIZED = (
    "device unauthorized.\nThis adb server's $ADB_VENDOR_KEYS is not set\nTry 'adb kill-server' if that seems wrong.\n"
    "Otherwise check for a confirmation dialog on your device."
)


class SocketStream:
    """See `Stream`."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def read(self, count: int) -> bytes:
        parts = bytearray()
        while len(parts) < count and (part := self._connection.recv(count - len(parts))):
            parts += part
        if len(parts) < count:
            raise OSError("the client is gone")
        return bytes(parts)

    def write(self, content: bytes) -> None:
        self._connection.sendall(content)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)
        self._connection.close()


class _Refusal(Exception):
    pass


class _Handler(socketserver.BaseRequestHandler):
    """One connection: questions to the server until one chooses a phone, then one service of that phone."""

    server: FakeServer

    def handle(self) -> None:
        stream = SocketStream(self.request)
        with contextlib.suppress(OSError, ValueError):
            phone: FakePhone | None = None
            while True:
                request = stream.read(int(stream.read(4), 16)).decode()
                try:
                    if phone is not None:
                        stream.write(b"OKAY")
                        phone.serve(request, stream)
                        return
                    phone, answer = self._host(request)
                except _Refusal as refusal:
                    reason = str(refusal).encode()
                    stream.write(b"FAIL" + f"{len(reason):04x}".encode() + reason)
                    return
                stream.write(b"OKAY" + answer)
                if phone is None:
                    return

    def _host(self, request: str) -> tuple[FakePhone | None, bytes]:
        self.server.requests.append(request)
        if request == "host:version":
            return None, _text(f"{self.server.version:04x}")
        if request in ("host:devices", "host:devices-l"):
            return None, _text("".join(self._line(phone, request) for phone in self.server.phones if phone.state))
        if request.startswith("host:tport:serial:"):
            return self._phone(request.split(":", 3)[3]), struct.pack("<Q", 7)
        if request.startswith("host:transport:"):
            return self._phone(request.split(":", 2)[2]), b""
        if request.startswith("host-serial:") and request.endswith(":features"):
            phone = self._phone(request.removeprefix("host-serial:").removesuffix(":features"))
            if phone.features is None:
                raise _Refusal("unknown host service")
            return None, _text(phone.features)
        raise _Refusal("unknown host service")

    def _phone(self, serial: str) -> FakePhone:
        for phone in self.server.phones:
            if phone.serial == serial and phone.state == "device":
                return phone
            if phone.serial == serial and phone.state:
                raise _Refusal(UNAUTHORIZED if phone.state == "unauthorized" else f"device {phone.state}")
        raise _Refusal(f"device '{serial}' not found")

    @staticmethod
    def _line(phone: FakePhone, request: str) -> str:
        if request == "host:devices":
            return f"{phone.serial}\t{phone.state}\n"
        tags = "product:acme model:Phone_9 device:acme " if phone.state == "device" else ""
        return f"{phone.serial:22} {phone.state} usb:1-1 {tags}transport_id:7\n"


class FakeServer(socketserver.ThreadingTCPServer):
    """version: of the protocol; below 41 it does not know `host:tport`."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, phones: Sequence[FakePhone]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.phones = list(phones)
        self.version = 41
        self.requests: list[str] = []

    @property
    def port(self) -> int:
        return int(self.server_address[1])


def _text(text: str) -> bytes:
    return f"{len(text):04x}{text}".encode()


@contextmanager
def running_server(*phones: FakePhone) -> Iterator[FakeServer]:
    """A server with these phones, ended afterwards with all they run."""
    with FakeServer(phones) as server:
        thread = threading.Thread(target=lambda: server.serve_forever(poll_interval=0.02), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            for phone in server.phones:
                phone.stop()
            server.shutdown()
