"""The asking side of `worker.py`'s protocol, over the pipes of any command that runs it."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from nasfit.errors import DeviceError

PIECE_BYTES = 1 << 20


class WorkerDied(DeviceError):
    """The process ended before it answered."""


class WorkerTimeout(DeviceError):
    """No answer in time; the process has been ended."""


class WorkerRefused(DeviceError):
    """The request cannot be done; the process is well.

    kind: whose fault it is. "trial": the network's; "device": the device's; "usage": the asker's; "missing": the
    engine is not installed.
    """

    def __init__(self, text: str, kind: str = "trial") -> None:
        super().__init__(text)
        self.kind = kind


class WorkerProcess:
    """One running worker. Requests are answered one by one; use from one thread.

    ended: asked when the process ends unbidden, with its exit code (negative: the signal) and its last words; the error
    it returns is raised instead of WorkerDied. So a command that carries the worker over a connection can tell a
    connection that broke from an engine that a network killed.
    """

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str] | None = None,
        *,
        ended: Callable[[int, str], DeviceError | None] | None = None,
    ) -> None:
        self._log = tempfile.TemporaryFile()  # noqa: SIM115  (lives as long as the process)
        self._rest = b""
        self._ended = ended
        try:
            self._process = subprocess.Popen(
                list(command),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._log,
                env={**os.environ, **(environment or {})},
                bufsize=0,
            )
        except OSError as error:
            self._log.close()
            raise DeviceError(f"cannot start the engine's process {command[0]!r}: {error}") from error
        assert self._process.stdin is not None
        os.set_blocking(self._process.stdin.fileno(), False)

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    def ask(self, request: Mapping[str, object], timeout_s: float, content: bytes = b"") -> dict[str, Any]:
        """The answer to one request.

        content: raw bytes that go with it, a network's file. timeout_s: for the answer, and for each further piece of
        the content to be taken. Raises WorkerDied (or what `ended` made of it), WorkerTimeout or WorkerRefused.
        """
        announced = {**request, "bytes": len(content)} if content else request
        self._write(json.dumps(announced).encode() + b"\n", timeout_s)
        self._write(content, timeout_s)
        reply = _parsed(self._line(timeout_s))
        if "error" in reply:
            raise WorkerRefused(str(reply["error"]), str(reply.get("kind", "trial")))
        answer: dict[str, Any] = reply["ok"]
        return answer

    def close(self) -> None:
        """End the process and let its files go; safe to call twice."""
        assert self._process.stdin is not None and self._process.stdout is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        try:
            self._process.wait(timeout=0.5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
        self._log.close()

    def _write(self, content: bytes, timeout_s: float) -> None:
        """Hand over all of it. The pipe does not block, so a process that stopped reading cannot stop this one."""
        assert self._process.stdin is not None
        pipe = self._process.stdin.fileno()
        left = memoryview(content)
        while left:
            if not select.select([], [pipe], [], timeout_s)[1]:
                self._process.kill()
                raise WorkerTimeout(f"nothing taken of a request within {timeout_s:g} s")
            try:
                left = left[os.write(pipe, left[:PIECE_BYTES]) :]
            except BlockingIOError:
                continue
            except OSError as error:
                raise self._died() from error

    def _line(self, timeout_s: float) -> bytes:
        assert self._process.stdout is not None
        deadline = time.monotonic() + timeout_s
        while b"\n" not in self._rest:
            left = deadline - time.monotonic()
            ready = select.select([self._process.stdout], [], [], max(left, 0.0))[0]
            if not ready:
                self._process.kill()
                raise WorkerTimeout(f"no answer within {timeout_s:g} s")
            chunk = os.read(self._process.stdout.fileno(), 1 << 20)
            if not chunk:
                raise self._died()
            self._rest += chunk
        line, _, self._rest = self._rest.partition(b"\n")
        return line

    def _died(self) -> DeviceError:
        try:
            code = self._process.wait(timeout=5.0)
        except subprocess.TimeoutExpired:  # it closed its pipes and lingers
            self._process.kill()
            code = self._process.wait()
        self._log.seek(0)
        said = self._log.read()[-400:].decode(errors="replace").strip()
        error = self._ended(code, said) if self._ended else None
        if error is not None:
            return error
        return died(code, said)


def died(code: int, said: str) -> WorkerDied:
    """The error for an exit code (negative: the signal) and last words."""
    how = f"signal {-code}" if code < 0 else f"exit code {code}"
    if code == -signal.SIGKILL:
        how += " (killed: out of memory, or for holding a core too long, or by a user)"
    return WorkerDied(f"the engine's process ended with {how}" + (f": {said}" if said else ""))


def _parsed(line: bytes) -> dict[str, Any]:
    try:
        reply = json.loads(line)
    except ValueError:
        reply = None
    if not isinstance(reply, dict) or not {"ok", "error"} & reply.keys():
        raise DeviceError(
            f"the engine's process said {line[:80]!r} where an answer was due; something on the way prints by itself, "
            "such as a start-up file of the shell"
        )
    return reply
