"""Files beside the database: each is whole or absent."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath

from nasfit.errors import UsageError


def write_whole(directory: Path, relative: str, content: bytes) -> Path:
    """Write a file so that a kill or a full disk leaves the old content or the new, never a part.

    Raises UsageError for a path that leaves the directory or belongs to the study itself, OSError from the disk.
    """
    parts = PurePosixPath(relative).parts
    if not parts or relative.startswith("/") or ".." in parts or parts[0].startswith("study."):
        raise UsageError(f"cannot write {relative!r}: give a path inside the study that does not start with 'study.'")
    path = directory / relative
    write_whole_file(path, content)
    return path


def write_whole_file(path: Path, content: bytes) -> None:
    """Write any file so; its directory is made where it is missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # The same name every time, so that kills leave no pile of them.
    unfinished = path.with_name(f".{path.name}.unfinished")
    try:
        with unfinished.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    except OSError:
        unfinished.unlink(missing_ok=True)
        raise
    flush_directory(path.parent)


def flush_directory(directory: Path) -> None:
    """Bring the directory's names, a rename for instance, to the disk."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
