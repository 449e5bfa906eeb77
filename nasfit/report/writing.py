"""A study -> report.html and front.png in its directory."""

from __future__ import annotations

from pathlib import Path

from nasfit.report.page import page
from nasfit.report.plot import picture
from nasfit.report.story import Story, story_of
from nasfit.report.study_pictures import study_pictures
from nasfit.report.thumbnails import thumbnails
from nasfit.study import Study
from nasfit.study.failures import told
from nasfit.study.files import write_whole

PAGE, PLOT = "report.html", "front.png"


def write_report(study: Path | str | Study, story: Story | None = None) -> Path:
    """Writes report.html and front.png of a study, finished or not, and returns the page's path.

    Each file is whole or absent. Works while another process drives the study, so it takes no lock. story: of an opened
    study, where it was read already. Raises StudyError.
    """
    if isinstance(study, Study):
        return _written(study, story or story_of(study))
    with Study.open(study, read_only=True) as opened:
        return _written(opened, story or story_of(opened))


def _written(study: Study, story: Story) -> Path:
    shown = _thumbnails(study, story)
    with told(study.path):
        write_whole(study.path, PLOT, picture(story))
        return write_whole(study.path, PAGE, page(story, shown).encode())


def _thumbnails(study: Study, story: Story) -> dict[int, str]:
    """Of the examples; none where the pictures are not at hand, which the notes tell."""
    errors, data = story.final.errors, study_pictures(study).data
    if errors is None or data is None:
        return {}
    return thumbnails(data.test.images_NHWC, [example.picture for example in errors.examples])
