"""The pictures of a study, as far as they are at hand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nasfit.errors import DataError
from nasfit.study import Study
from nasfit.tasks import ClassificationData, open_saved


@dataclass(frozen=True)
class StudyPictures:
    """notes: one line each. fingerprint: that the study began with. data: None where it is not at hand."""

    notes: tuple[str, ...] = ()
    fingerprint: str | None = None
    data: ClassificationData | None = None


def study_pictures(study: Study) -> StudyPictures:
    """Opens them; costs milliseconds."""
    known: dict[str, Any] | None = study.document("data")
    if not known:
        return StudyPictures()
    try:
        data = open_saved(study.path / known["directory"])
    except DataError as error:
        return StudyPictures((f"the pictures of this study are not at hand: {error}",), known.get("fingerprint"))
    return StudyPictures(tuple(data.notes), known.get("fingerprint"), data)
