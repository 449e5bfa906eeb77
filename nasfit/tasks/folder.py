"""A folder of picture files as a source."""

from __future__ import annotations

from pathlib import Path

from nasfit.tasks.listing import list_folder
from nasfit.tasks.picture_source import PictureSource
from nasfit.tasks.pictures import check_counts


def folder_source(root: Path) -> PictureSource:
    """List `root` and check that it can be split. Raises DataError at once, before anything is decoded."""
    listing = list_folder(root)
    carved = len({"validation", "test"} - set(listing.parts))
    labels = [picture.label for picture in listing.parts["train"]]
    check_counts(root, listing.classes, labels, 1 + carved, "pictures")
    return PictureSource(root.absolute().name, root, listing.identity, lambda: listing)
