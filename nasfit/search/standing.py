"""Whether a study runs, in one word."""

from __future__ import annotations

from nasfit.search.detector_study import DetectorSearchSettings, has_done_all
from nasfit.study import Study

RUNNING, FINISHED, INTERRUPTED = "running", "finished", "interrupted"


def standing(study: Study) -> str:
    """RUNNING while a process drives it, else FINISHED where all is done and INTERRUPTED before. Raises StudyError."""
    if study.driven():
        return RUNNING
    return FINISHED if is_ended(study) else INTERRUPTED


def is_ended(study: Study) -> bool:
    """Whether all that was asked is done. Raises StudyError."""
    detectors = DetectorSearchSettings.of_study(study.settings)
    return study.document("result") is not None if detectors is None else has_done_all(study, detectors)
