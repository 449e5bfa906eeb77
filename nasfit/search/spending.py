"""What a study spends, by kind of work."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from nasfit.study import Study


@contextmanager
def timed(study: Study, kind: str) -> Iterator[None]:
    """Adds the seconds until it is left, however that comes about."""
    since = time.monotonic()
    try:
        yield
    finally:
        study.add_seconds(kind, time.monotonic() - since)
