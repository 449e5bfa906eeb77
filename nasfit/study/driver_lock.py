"""One driver at a time: a lock that the kernel takes back when its process ends, however it ends."""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path

from nasfit.errors import StudyBusy

LOCK = "study.lock"


class DriverLock:
    """Held from construction to `release` or the end of the process. Raises StudyBusy if another holds it, OSError.

    The file itself stays: removing it would let two processes lock two files of the same name.
    """

    def __init__(self, directory: Path) -> None:
        self._descriptor = os.open(directory / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.pread(self._descriptor, 64, 0).decode(errors="replace").strip()
            os.close(self._descriptor)
            if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                raise
            raise StudyBusy(
                f"study {str(directory)!r} is being driven by process {holder or 'unknown'}; wait for it or end it, "
                f"read along with `nasfit show`, or name another directory with --study"
            ) from error
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, str(os.getpid()).encode(), 0)

    def release(self) -> None:
        """Let the next driver in; safe to call twice."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def locked(directory: Path) -> bool:
    """Whether a process of this machine holds the lock at this moment."""
    try:
        descriptor = os.open(directory / LOCK, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        # Shared, and let go at once: another that asks does not see this one.
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
