"""Ctrl-C and SIGTERM: the first ends a command in order, the second at once."""

from __future__ import annotations

import os
import shlex
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ORDERLY = "\nstopping in order: what is at work is ended; once more, and it ends at once\n"
SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def interruptible(kept: str) -> Iterator[None]:
    """Ctrl-C, and SIGTERM as well, end the command with code 130 and say how to go on. kept: what is, once finished.

    The first says so at once, and workers, device and study are closed in order. The second leaves them to notice that
    their parent is gone, as `kill -9` would.
    """
    asked: list[int] = []

    def interrupt(number: int, _: object) -> None:
        # Not print: the signal may have come in the middle of one.
        if asked:
            os.write(2, f"\n{_go_on(kept)}\n".encode())
            os._exit(130)
        asked.append(number)
        os.write(2, ORDERLY.encode())
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in SIGNALS}
    try:
        yield
    except KeyboardInterrupt:
        print(f"\n{_go_on(kept)}", file=sys.stderr)
        raise SystemExit(130) from None
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def command_line() -> str:
    """The command as it was typed, quoted for a shell."""
    return shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])


def _go_on(kept: str) -> str:
    return f"stopped; every finished {kept} is kept. The same command goes on:\n  {command_line()}"
