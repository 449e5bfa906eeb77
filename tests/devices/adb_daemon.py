"""adbd of a phone that is not there: the wire protocol over TCP, so that a real adb server takes it for a phone.

Packets of 24 bytes header (command, two arguments, length, checksum, complement of the command) and content; streams
are opened (OPEN), each piece of content (WRTE) waits for its acknowledgement (OKAY), CLSE ends them.
"""

from __future__ import annotations

import contextlib
import itertools
import queue
import socket
import socketserver
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from adb_phone import FakePhone

_VERSION = 0x01000001  # of this version on checksums are not looked at
_MOST_BYTES = 256 << 10


class WireStream:
    """See `Stream`; one service of one connection."""

    def __init__(self, wire: Wire, local: int, remote: int) -> None:
        self._wire, self._local, self._remote = wire, local, remote
        self._came: queue.Queue[bytes] = queue.Queue()
        self._taken = threading.Semaphore(0)
        self._rest = b""
        self._ended = False

    def read(self, count: int) -> bytes:
        while len(self._rest) < count:
            part = self._came.get()
            if not part:
                raise OSError("the stream was closed")
            self._rest += part
            self._wire.send(b"OKAY", self._local, self._remote)
        wanted, self._rest = self._rest[:count], self._rest[count:]
        return wanted

    def write(self, content: bytes) -> None:
        for start in range(0, len(content), 64 << 10):
            self._wire.send(b"WRTE", self._local, self._remote, content[start : start + (64 << 10)])
            self._taken.acquire()
            if self._ended:
                raise OSError("the stream was closed")

    def close(self) -> None:
        if not self._ended:
            self._ended = True
            with contextlib.suppress(OSError):
                self._wire.send(b"CLSE", self._local, self._remote)
            self.let_go()

    def let_go(self) -> None:
        """Wake whoever waits for this stream."""
        self._ended = True
        self._came.put(b"")
        self._taken.release()

    def came(self, content: bytes) -> None:
        self._came.put(content)

    def acknowledged(self) -> None:
        self._taken.release()


class Wire(socketserver.BaseRequestHandler):
    """The connection of one adb server."""

    server: FakeDaemon

    def handle(self) -> None:
        self._sending = threading.Lock()
        self._streams: dict[int, WireStream] = {}
        numbers = itertools.count(1)
        self.server.wires.append(self)
        self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with contextlib.suppress(OSError):
            while True:
                command, first, second, content = self._receive()
                if command == b"CNXN":
                    phone = self.server.phone
                    banner = f"device::ro.product.name=acme;ro.product.model=Phone 9;features={phone.features or ''}"
                    self.send(b"CNXN", _VERSION, _MOST_BYTES, banner.encode())
                elif command == b"OPEN":
                    local = next(numbers)
                    self._streams[local] = stream = WireStream(self, local, first)
                    self.send(b"OKAY", local, first)
                    service = content.rstrip(b"\0").decode()
                    threading.Thread(target=self.server.phone.serve, args=(service, stream), daemon=True).start()
                elif second in self._streams:
                    self._to(self._streams[second], command, content)
        for stream in self._streams.values():
            stream.let_go()

    @staticmethod
    def _to(stream: WireStream, command: bytes, content: bytes) -> None:
        if command == b"WRTE":
            stream.came(content)
        elif command == b"OKAY":
            stream.acknowledged()
        elif command == b"CLSE":
            stream.let_go()

    def send(self, command: bytes, first: int, second: int, content: bytes = b"") -> None:
        code = int.from_bytes(command, "little")
        header = struct.pack("<6I", code, first, second, len(content), sum(content), code ^ 0xFFFFFFFF)
        with self._sending:
            self.request.sendall(header + content)

    def cut(self) -> None:
        with contextlib.suppress(OSError):
            self.request.shutdown(socket.SHUT_RDWR)

    def _receive(self) -> tuple[bytes, int, int, bytes]:
        code, first, second, length, _, _ = struct.unpack("<6I", self._exactly(24))
        return code.to_bytes(4, "little"), first, second, self._exactly(length)

    def _exactly(self, count: int) -> bytes:
        parts = bytearray()
        while len(parts) < count:
            part = self.request.recv(count - len(parts))
            if not part:
                raise OSError("the adb server is gone")
            parts += part
        return bytes(parts)


class FakeDaemon(socketserver.ThreadingTCPServer):
    """Where `adb connect` finds the phone."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, phone: FakePhone, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), Wire)
        self.phone = phone
        self.wires: list[Wire] = []

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def vanish(self) -> None:
        """Take no new connections and cut those there are."""
        self.shutdown()
        for wire in self.wires:
            wire.cut()


@contextmanager
def running_daemon(phone: FakePhone, port: int = 0) -> Iterator[FakeDaemon]:
    """The phone on the network, away when the context ends."""
    with FakeDaemon(phone, port) as daemon:
        threading.Thread(target=lambda: daemon.serve_forever(poll_interval=0.02), daemon=True).start()
        try:
            yield daemon
        finally:
            daemon.vanish()
