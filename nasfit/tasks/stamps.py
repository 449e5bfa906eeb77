"""Hashes by which a change of files is noticed without reading them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path


def digest(items: Iterable[str]) -> str:
    """32 hexadecimal digits over a sequence of texts; file names that are no text are taken byte by byte."""
    hashed = hashlib.blake2b(digest_size=16)
    for item in items:
        encoded = os.fsencode(item)
        hashed.update(len(encoded).to_bytes(8, "little") + encoded)
    return hashed.hexdigest()


def stamped(files: Iterable[Path], root: Path) -> str:
    """`digest` of each file's path below `root`, size and time. Raises OSError."""
    stamps = [(os.path.relpath(path, root), path.stat()) for path in files]
    return digest(f"{name}\0{status.st_size}\0{status.st_mtime_ns}" for name, status in stamps)
