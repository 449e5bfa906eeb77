"""Errors of disk and database -> StudyError with the place and the next step."""

from __future__ import annotations

import errno
import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy.exc import DBAPIError, OperationalError, StatementError

from nasfit.errors import StudyError, UsageError

FULL = "the disk is full; free some space and repeat the command, everything recorded so far is kept"
READ_ONLY = "it cannot be written; give yourself write permission or copy the study to a disk you can write to"
DAMAGED = "the file is damaged; restore it from a copy, or start a new study in another directory (--study)"

AWAY = "the database does not answer; once it does, repeat the command, everything recorded is kept"

_BY_SQLITE_NAME = {
    "SQLITE_FULL": FULL,
    "SQLITE_READONLY": READ_ONLY,
    "SQLITE_PERM": READ_ONLY,
    "SQLITE_CANTOPEN": "it cannot be opened; check that the directory and its study.sqlite* files are yours to read",
    "SQLITE_BUSY": "another program holds it; end that program and repeat the command",
    "SQLITE_LOCKED": "another program holds it; end that program and repeat the command",
    "SQLITE_IOERR": "the disk failed or has gone; check it and repeat the command, everything recorded is kept",
    "SQLITE_CORRUPT": DAMAGED,
    "SQLITE_NOTADB": DAMAGED,
}
_BY_ERRNO = {
    errno.ENOSPC: FULL,
    errno.EDQUOT: FULL,
    errno.EROFS: READ_ONLY,
    errno.EACCES: READ_ONLY,
    errno.EPERM: READ_ONLY,
    errno.EEXIST: "a file is where a directory is needed; name another directory with --study",
    errno.ENOTDIR: "a file is where a directory is needed; name another directory with --study",
}


@contextmanager
def told(path: Path | str) -> Iterator[None]:
    """Raises StudyError in place of the errors a user can mend, UsageError for values that JSON cannot hold.

    Lets others, which are bugs, through.
    """
    try:
        yield
    except DBAPIError as error:
        if isinstance(error.orig, sqlite3.Error) and (advice := _sqlite_advice(error.orig)):
            raise StudyError(f"study {str(path)!r}: {error.orig}: {advice}") from error
        if error.connection_invalidated or isinstance(error, OperationalError):
            what = " ".join(str(error.orig).split())
            raise StudyError(f"study {str(path)!r}: {what}: {AWAY}") from error
        raise
    except StatementError as error:
        # Before anything is sent: a value that cannot become JSON, such as NaN.
        raise UsageError(f"study {str(path)!r} cannot keep a value as JSON: {error.orig}") from error
    except sqlite3.Error as error:
        if advice := _sqlite_advice(error):
            raise StudyError(f"study {str(path)!r}: {error}: {advice}") from error
        raise
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise StudyError(f"study {str(path)!r}: {error}: {DAMAGED}") from error
    except OSError as error:
        advice = _BY_ERRNO.get(error.errno or 0, "check the disk and repeat the command")
        raise StudyError(f"study {str(path)!r}: {error.strerror}: {advice}") from error


def _sqlite_advice(error: sqlite3.Error) -> str | None:
    # Extended names look like SQLITE_IOERR_WRITE.
    name = "_".join(getattr(error, "sqlite_errorname", "").split("_")[:2])
    return _BY_SQLITE_NAME.get(name)
