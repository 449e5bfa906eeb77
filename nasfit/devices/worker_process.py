"""The asking side of `worker.py`'s protocol, over the pipes of any command that runs it."""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from typing import Any

from nasfit.errors import DeviceError


class WorkerDied(DeviceError):
    """The process ended before it answered."""


class WorkerTimeout(DeviceError):
    """No answer in time; the process has been ended."""


class WorkerRefused(DeviceError):
    """The request cannot be done; the process is well."""


class WorkerProcess:
    """One running worker. Requests are answered one by one; use from one thread."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str] | None = None) -> None:
        self._log = tempfile.TemporaryFile()  # noqa: SIM115  (lives as long as the process)
        self._rest = b""
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

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    def ask(self, request: Mapping[str, object], timeout_s: float) -> dict[str, Any]:
        """The answer to one request. Raises WorkerDied, WorkerTimeout or WorkerRefused."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
        except OSError as error:
            raise self._died() from error
        reply: dict[str, Any] = json.loads(self._line(timeout_s))
        if "error" in reply:
            raise WorkerRefused(str(reply["error"]))
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

    def _died(self) -> WorkerDied:
        code = self._process.wait()
        self._log.seek(0)
        said = self._log.read()[-400:].decode(errors="replace").strip()
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        return WorkerDied(f"the engine's process ended with {how}" + (f": {said}" if said else ""))
