"""The report of a study: one self-contained HTML page and one plot, drawn from a plain `Story`."""

from nasfit.report.answer import answer
from nasfit.report.headline import Answer, Tile
from nasfit.report.page import page
from nasfit.report.plot import figure, picture
from nasfit.report.story import Story, story_of
from nasfit.report.writing import PAGE, PLOT, write_report

__all__ = [
    "PAGE",
    "PLOT",
    "Answer",
    "Story",
    "Tile",
    "answer",
    "figure",
    "page",
    "picture",
    "story_of",
    "write_report",
]
