"""The worker's side: set the process up, then answer calls one by one until the parent closes the pipe."""

from __future__ import annotations

import contextlib
import fcntl
import os
import resource
import signal
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from typing import Any

from nasfit.errors import TrialFailure

_LONGEST_REASON = 300


@dataclass(frozen=True)
class Setup:
    """What a worker does first. cores: to run on. memory_bytes: most it may allocate, or None."""

    cores: tuple[int, ...]
    memory_bytes: int | None
    initializer: Callable[..., object] | None
    initargs: tuple[Any, ...]


@dataclass(frozen=True)
class Failed:
    """An exception as text: one line for the user, and where it came from."""

    reason: str
    trace: str


def serve(calls: int, lifeline: int) -> None:
    """Runs in the worker. calls: descriptor of the pipe of calls. lifeline: of a pipe that the parent holds open.

    Sends None when set up, then (value,) or Failed for each (function, payload).
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _die_with_parent(lifeline)
    os.set_inheritable(calls, False)
    connection = Connection(calls)
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):
        if _answer(connection, lambda: _set_up(ForkingPickler.loads(connection.recv_bytes()))):
            while True:
                message = connection.recv_bytes()
                _answer(connection, lambda message=message: _call(message))  # type: ignore[misc]


def one_line(error: BaseException) -> str:
    """The error as a reason: its text, after its type unless it was raised as a reason, cut to one short line."""
    text = " ".join(str(error).split())
    if not isinstance(error, TrialFailure):
        text = f"{type(error).__name__}: {text}" if text else type(error).__name__
    return text if len(text) <= _LONGEST_REASON else text[: _LONGEST_REASON - 1] + "…"


def _answer(connection: Connection, work: Callable[[], object]) -> bool:
    try:
        reply = ForkingPickler.dumps(work())
    except BaseException as error:
        connection.send(Failed(one_line(error), traceback.format_exc()))
        return False
    connection.send_bytes(reply)
    return True


def _call(message: bytes) -> tuple[Any]:
    function, payload = ForkingPickler.loads(message)
    return (function(payload),)


def _set_up(setup: Setup) -> None:
    if sys.platform == "linux":
        os.sched_setaffinity(0, setup.cores)
        # When memory runs out, the system should end a worker, which is replaced, and not its parent.
        with contextlib.suppress(OSError):
            Path("/proc/self/oom_score_adj").write_text("500")
    if setup.memory_bytes is not None:
        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        resource.setrlimit(resource.RLIMIT_DATA, (setup.memory_bytes, hard))
    if setup.initializer is not None:
        setup.initializer(*setup.initargs)


def _die_with_parent(lifeline: int) -> None:
    # The kernel signals the pipe's owner when its other end closes. Unlike a watching thread, this needs no lock of the
    # interpreter; unlike PR_SET_PDEATHSIG, it is not bound to the life of the thread that started the worker. On Linux
    # the signal is SIGKILL, which ends a paused process too.
    os.set_inheritable(lifeline, False)
    if sys.platform == "linux":
        fcntl.fcntl(lifeline, fcntl.F_SETSIG, signal.SIGKILL)
    else:
        signal.signal(signal.SIGIO, lambda *_: os._exit(1))
    fcntl.fcntl(lifeline, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(lifeline, fcntl.F_SETFL, fcntl.fcntl(lifeline, fcntl.F_GETFL) | os.O_ASYNC)
