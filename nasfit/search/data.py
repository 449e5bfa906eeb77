"""The study's pictures: decoded once into the study directory, the same ones whenever it is continued."""

from __future__ import annotations

from pathlib import Path

from nasfit.errors import StudyError
from nasfit.search.settings import Settings
from nasfit.study import Study
from nasfit.tasks import ClassificationData, load, open_saved


def prepared(settings: Settings, study: Study) -> tuple[ClassificationData, Path]:
    """The data and the directory that worker processes open it from. Raises DataError, StudyError."""
    # Before there is a plan nothing depends on the pictures, and --data may have been mended.
    known = study.document("data") if study.document("plan") else None
    if known:
        data = open_saved(study.path / known["directory"])
    else:
        data = load(settings.data, cache=study.path / "data", resolution=settings.resolution, seed=settings.seed)
    assert data.directory is not None, "loaded data lies on disk"
    if known and known["fingerprint"] != data.fingerprint:
        raise StudyError(f"the pictures in {data.directory} changed since the study began; start another --study")
    facts = {"directory": str(data.directory.relative_to(study.path.absolute())), "fingerprint": data.fingerprint}
    study.put_document("data", facts)
    return data, data.directory
