"""One phone behind the adb server: run a command, push a file, pull a file.

adbutils finds and starts the server and opens the connection to the phone. What is said on it is written here, because
adbutils 2.12 loses the reason of a failed push, sends without making sure that all is sent, and bounds only the wait
for the next byte, not the wait for the end.

Every method raises DeviceGone where the connection is cut or the phone is away, and PhoneTimeout where it is silent.
"""

from __future__ import annotations

import socket
import struct
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from nasfit.devices.adb_server import adb_client, adb_package, require_ready
from nasfit.errors import DeviceError, DeviceGone

_CHUNK_BYTES = 64 << 10  # the most that one DATA packet of the sync protocol may hold
_MOST_OUTPUT_BYTES = 8 << 20
_EXIT_MARK = "nasfit-exit:"
_OUTPUT, _ERRORS, _EXIT = 1, 2, 3  # packet kinds of shell v2


class PhoneTimeout(DeviceError):
    """No end within the time allowed."""


@dataclass
class _Stream:
    """Bytes from one connection until a moment in time."""

    socket: socket.socket
    ends_at: float

    def some(self, most: int = _CHUNK_BYTES) -> bytes:
        """What comes next; empty at the end of the stream."""
        left = self.ends_at - time.monotonic()
        if left <= 0:
            raise PhoneTimeout("no end in time")
        self.socket.settimeout(left)
        try:
            return self.socket.recv(most)
        except TimeoutError as error:
            raise PhoneTimeout("no answer in time") from error

    def exactly(self, count: int) -> bytes:
        """So many bytes. Raises EOFError where the stream ends before."""
        parts = bytearray()
        while len(parts) < count:
            part = self.some(count - len(parts))
            if not part:
                raise EOFError("the connection was cut")
            parts += part
        return bytes(parts)

    def send(self, content: bytes) -> None:
        """All of it. Raises PhoneTimeout where the other side takes none."""
        self.socket.settimeout(max(self.ends_at - time.monotonic(), 0.001))
        try:
            self.socket.sendall(content)
        except TimeoutError as error:
            raise PhoneTimeout("nothing is taken in time") from error


class Link:
    """The phone of this serial. Nothing is connected until the first request."""

    def __init__(self, serial: str) -> None:
        self.serial = serial
        self._seen = False
        self._speaks_v2: bool | None = None

    def check(self) -> None:
        """Is the phone there and ready? Raises DeviceGone or DeviceError, see `require_ready`."""
        require_ready(self.serial, seen_before=self._seen)
        self._seen = True

    def shell(self, line: str, timeout_s: float) -> tuple[int, str]:
        """Exit code and output (both streams, in order) of a line for the phone's shell."""
        with self._errors():
            speaks_v2 = self._has_shell_v2()
            service = f"shell,v2:{line}" if speaks_v2 else f"shell:{line}; echo {_EXIT_MARK}$?"
            with self._open(service, timeout_s) as stream:
                code, output = _packets(stream) if speaks_v2 else _marked(stream)
        return code, output.decode(errors="replace").replace("\r\n", "\n")

    def push(self, content: bytes, path: str, timeout_s: float, mode: int = 0o644) -> None:
        """Write a file on the phone. Raises DeviceError with the phone's reason where it cannot."""
        target = f"{path},{0o100000 | mode}".encode()
        with self._errors(), self._open("sync:", timeout_s) as stream:
            try:
                stream.send(b"SEND" + struct.pack("<I", len(target)) + target)
                for start in range(0, len(content), _CHUNK_BYTES):
                    chunk = content[start : start + _CHUNK_BYTES]
                    stream.send(b"DATA" + struct.pack("<I", len(chunk)) + chunk)
                stream.send(b"DONE" + struct.pack("<I", int(time.time())))
            except (BrokenPipeError, ConnectionResetError):
                pass  # the phone gave up before it had all: its reason may still be there to read
            kind, told = stream.exactly(4), stream.exactly(4)
            if kind == b"FAIL":
                reason = stream.exactly(struct.unpack("<I", told)[0]).decode(errors="replace")
                raise DeviceError(f"phone {self.serial} cannot write {path}: {reason}; make room on the phone")
            if kind != b"OKAY":
                raise EOFError(f"{kind!r} instead of an acknowledgement")

    def pull(self, path: str, timeout_s: float) -> bytes | None:
        """Content of a file on the phone; None where it cannot be read."""
        content = bytearray()
        with self._errors(), self._open("sync:", timeout_s) as stream:
            stream.send(b"RECV" + struct.pack("<I", len(path.encode())) + path.encode())
            while True:
                kind, size = stream.exactly(4), struct.unpack("<I", stream.exactly(4))[0]
                if kind != b"DATA":
                    return bytes(content) if kind == b"DONE" else None
                content += stream.exactly(size)

    def _has_shell_v2(self) -> bool:
        if self._speaks_v2 is None:
            try:
                told = str(self._device().get_features())
            except adb_package().AdbError:
                # Old servers do not know the question; a phone that is away fails it too, and is found out just below.
                self.check()
                told = ""
            self._speaks_v2 = "shell_v2" in told.split(",")
        return self._speaks_v2

    def _device(self) -> Any:
        return adb_client().device(self.serial)

    @contextmanager
    def _open(self, service: str, timeout_s: float) -> Iterator[_Stream]:
        connection = self._device().open_transport(timeout=timeout_s)
        try:
            # Else the last small packet of a push waits up to 40 ms for the acknowledgement of the one before.
            connection.conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            stream = _Stream(connection.conn, time.monotonic() + timeout_s)
            request = service.encode()
            stream.send(f"{len(request):04x}".encode() + request)
            connection.check_okay()
            yield stream
        finally:
            # Closed at once: adbutils' own close() waits 10 ms, which is a fair part of what a small network takes.
            connection.conn.close()

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Turn what adbutils and sockets raise into ours, after asking the server how the phone is."""
        adbutils = adb_package()
        try:
            yield
        except adbutils.AdbTimeout as error:
            raise PhoneTimeout(f"phone {self.serial} does not answer") from error
        except (adbutils.AdbError, OSError, EOFError, struct.error, ValueError, subprocess.SubprocessError) as error:
            self._speaks_v2 = None
            self.check()
            # It is there now, so it was only away for a moment.
            raise DeviceGone(f"the connection to phone {self.serial} was cut: {error}") from error


def _packets(stream: _Stream) -> tuple[int, bytes]:
    """Shell v2: packets of kind, length, content."""
    output = bytearray()
    while True:
        kind, size = struct.unpack("<BI", stream.exactly(5))
        content = stream.exactly(size)
        if kind == _EXIT:
            return content[0], bytes(output)
        if kind in (_OUTPUT, _ERRORS):
            output += content
        _bound(output)


def _marked(stream: _Stream) -> tuple[int, bytes]:
    """Shell before v2: bytes until the end, the exit code told by an `echo`."""
    output = bytearray()
    while part := stream.some():
        output += part
        _bound(output)
    before, mark, code = bytes(output).rpartition(_EXIT_MARK.encode())
    if not mark or not code.strip().isdigit():
        raise EOFError("the output ends without an exit code")
    return int(code), before


def _bound(output: bytearray) -> None:
    if len(output) > _MOST_OUTPUT_BYTES:
        raise DeviceError(f"a command on the phone printed more than {_MOST_OUTPUT_BYTES >> 20} MB")
