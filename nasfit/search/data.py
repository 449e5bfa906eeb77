"""The study's pictures: decoded once into the study directory, the same ones whenever it is continued."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from nasfit.errors import StudyError
from nasfit.study import Study
from nasfit.tasks import ClassificationData, load, open_saved

LOG = logging.getLogger("nasfit.search")
SAID_EVERY_S = 30.0


class Pictures(Protocol):
    """Which pictures: of a search's settings, or a proxy check's."""

    @property
    def data(self) -> str:
        """A folder or a name."""

    @property
    def resolution(self) -> int | None:
        """Side, px; None: their own."""

    @property
    def pictures(self) -> int | None:
        """Most training pictures; None: all."""

    @property
    def stream(self) -> bool:
        """Whether pictures are decoded as they are wanted, and none kept decoded."""

    @property
    def seed(self) -> int:
        """Of the split."""


def prepared(settings: Pictures, study: Study) -> tuple[ClassificationData, Path]:
    """The data and the directory that worker processes open it from. Raises DataError, StudyError."""
    # Before there is a plan nothing depends on the pictures, and --data may have been mended.
    known = study.document("data") if study.document("plan") else None
    data = open_saved(study.path / known["directory"]) if known else _loaded(settings, study)
    assert data.directory is not None, "loaded data lies on disk"
    if known and known["fingerprint"] != data.fingerprint:
        raise StudyError(f"the pictures in {data.directory} changed since the study began; start another --study")
    study.put_document("data", _facts(data, study))
    return data, data.directory


def fetched(settings: Pictures, study: Study) -> None:
    """Has the driver's pictures in a helper's directory, perhaps on another machine. Raises DataError, StudyError."""
    known = study.document("data")
    if (study.path / known["directory"]).exists():
        return
    if _facts(_loaded(settings, study), study) != known:
        raise StudyError(f"the pictures of {settings.data!r} here are not those that the study is driven with")


def _facts(data: ClassificationData, study: Study) -> dict[str, str]:
    assert data.directory is not None, "loaded data lies on disk"
    return {"directory": str(data.directory.relative_to(study.path.absolute())), "fingerprint": data.fingerprint}


def _loaded(settings: Pictures, study: Study) -> ClassificationData:
    return load(
        settings.data,
        cache=study.path / "data",
        resolution=settings.resolution,
        seed=settings.seed,
        pictures=settings.pictures,
        stream=settings.stream,
        progress=_told(),
    )


def _told() -> Callable[[int, int], None]:
    """Says now and then how far the decoding is; nothing where it takes seconds."""
    first: tuple[float, int] | None = None
    said = time.monotonic()

    def tell(done: int, of: int) -> None:
        nonlocal first, said
        now = time.monotonic()
        first = first or (now, done)
        if now - said >= SAID_EVERY_S and done > first[1]:
            said = now
            left_s = (now - first[0]) / (done - first[1]) * (of - done)
            left = f"{left_s:.0f} s" if left_s < 100 else f"{left_s / 60:.0f} minutes"
            LOG.info("%s of %s pictures decoded, about %s to go", f"{done:,}", f"{of:,}", left)

    return tell
