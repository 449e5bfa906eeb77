"""Whether a study runs, in one word."""

from __future__ import annotations

from nasfit.study import Study

RUNNING, FINISHED, INTERRUPTED = "running", "finished", "interrupted"


def standing(study: Study) -> str:
    """RUNNING while a process drives it, else FINISHED with a result and INTERRUPTED without. Raises StudyError."""
    if study.driven():
        return RUNNING
    return INTERRUPTED if study.document("result") is None else FINISHED
