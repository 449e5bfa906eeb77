"""A study -> report.html and front.png in its directory."""

from __future__ import annotations

from pathlib import Path

from nasfit.report.page import page
from nasfit.report.plot import picture
from nasfit.report.story import story_of
from nasfit.study import Study
from nasfit.study.failures import told
from nasfit.study.files import write_whole


def write_report(study: Path | str | Study) -> Path:
    """Writes report.html and front.png of a study, finished or not, and returns the page's path.

    Each file is whole or absent. Works while another process drives the study, so it takes no lock. Raises StudyError.
    """
    if isinstance(study, Study):
        return _written(study)
    with Study.open(study, read_only=True) as opened:
        return _written(opened)


def _written(study: Study) -> Path:
    story = story_of(study)
    with told(study.path):
        write_whole(study.path, "front.png", picture(story))
        return write_whole(study.path, "report.html", page(story).encode())
