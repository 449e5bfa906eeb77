"""`nasfit report`: the page of a study, and its answer for programs."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from nasfit.report import PLOT, answer, story_of, write_report
from nasfit.study import Study


def run(path: Path, *, as_json: bool) -> None:
    """Writes both files and prints where they are. Raises StudyError."""
    with Study.open(path, read_only=True) as study:
        story = story_of(study)
        page = write_report(study, story)
    if as_json:
        print(json.dumps({"report": str(page), "plot": str(path / PLOT), "answer": asdict(answer(story))}, indent=1))
    else:
        print(page)
