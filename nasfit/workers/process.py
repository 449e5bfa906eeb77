"""The parent's side of one worker process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from multiprocessing.connection import Pipe
from multiprocessing.reduction import ForkingPickler
from typing import Any

from nasfit.errors import TrialFailure
from nasfit.workers.serving import Failed, Setup, one_line

# Not multiprocessing's own start: that runs the user's script once more in every worker, and leaves a moment in which
# Ctrl-C reaches them.
_BOOT = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from nasfit.workers.serving import serve; serve(int(sys.argv[2]), int(sys.argv[3]))"
)
_THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)
_TAIL_BYTES = 2000


class WorkerProcess:
    """One process; it has one thing to do at a time: first to set up, then the item it was given.

    item: index of the item at work, or None. ready: whether it has set up. What it prints goes to a log of its own,
    which is shown with its failures.
    """

    def __init__(self, setup: Setup, threads: int, start_timeout_s: float) -> None:
        self.ready = False
        self.item: int | None = None
        self._deadline: float | None = time.monotonic() + start_timeout_s
        self._limit_s = start_timeout_s
        self._log = tempfile.TemporaryFile()  # noqa: SIM115  (lives as long as the process)
        self.calls, theirs = Pipe()
        lifeline, self._lifeline = os.pipe()
        descriptors = (theirs.fileno(), lifeline)
        self._process = subprocess.Popen(
            [sys.executable, "-X", "faulthandler", "-c", _BOOT, json.dumps(sys.path), *map(str, descriptors)],
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            pass_fds=descriptors,
            env={**os.environ, **dict.fromkeys(_THREAD_VARIABLES, str(threads))},
            start_new_session=True,  # so that Ctrl-C reaches the parent only
        )
        theirs.close()
        os.close(lifeline)
        self._send(ForkingPickler.dumps(setup))

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    @property
    def busy(self) -> bool:
        """Whether an answer is due."""
        return not self.ready or self.item is not None

    def give(self, item: int, message: memoryview, timeout_s: float | None) -> bool:
        """Hand over an item; False if the process has died meanwhile."""
        if self._process.poll() is not None or not self._send(message):
            return False
        self.item = item
        self._limit_s = timeout_s or 0.0
        self._deadline = None if timeout_s is None else time.monotonic() + timeout_s
        return True

    def left_s(self) -> float:
        """Seconds until the answer is overdue."""
        return float("inf") if self._deadline is None else max(0.0, self._deadline - time.monotonic())

    def answer(self) -> tuple[Any] | TrialFailure | None:
        """What has come: (value,), a failure, or None if nothing has. After a failure see `alive`."""
        died = self._process.poll() is not None
        try:
            if self.calls.poll():
                return self._settled(self.calls.recv_bytes())
        except (EOFError, OSError):
            return self._failed(self._how_it_ended())
        if died:
            return self._failed(self._how_it_ended())
        if self.left_s() <= 0:
            return self._failed(f"no result within {self._limit_s:g} s; its worker was ended")
        return None

    @property
    def alive(self) -> bool:
        """Whether it can be given more."""
        return not self.calls.closed

    def kill(self) -> None:
        """End the process at once; safe to call twice."""
        if not self.alive:
            return
        self._process.kill()
        self._process.wait()
        self.calls.close()
        os.close(self._lifeline)
        self._log.close()

    def _settled(self, reply: bytes) -> tuple[Any] | TrialFailure:
        self._deadline = None
        try:
            value = ForkingPickler.loads(reply)
        except Exception as error:
            return TrialFailure(f"its result cannot be read: {one_line(error)}")
        if isinstance(value, Failed):
            failure = TrialFailure(value.reason)
            failure.add_note(value.trace)
            return failure
        return value if self.ready else (None,)

    def _failed(self, reason: str) -> TrialFailure:
        failure = TrialFailure(reason)
        if tail := self._tail():
            failure.add_note(tail)
        self.kill()
        return failure

    def _how_it_ended(self) -> str:
        try:
            code = self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            return "its worker stopped answering and was ended"
        if code >= 0:
            last = self._tail().rpartition("\n")[2]
            return f"its worker ended with exit code {code}" + (f": {last}" if last else "")
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = f"signal {-code}"
        return f"its worker was ended by {name}" + (" (often: out of memory)" if name == "SIGKILL" else "")

    def _tail(self) -> str:
        size = os.fstat(self._log.fileno()).st_size
        return os.pread(self._log.fileno(), _TAIL_BYTES, max(0, size - _TAIL_BYTES)).decode(errors="replace").strip()

    def _send(self, message: memoryview) -> bool:
        try:
            self.calls.send_bytes(message)
        except OSError:
            return False
        return True
