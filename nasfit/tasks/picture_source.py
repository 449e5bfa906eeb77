"""Pictures in files of any kind as a source: listed, then decoded once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from nasfit.tasks.building import build, own_resolution
from nasfit.tasks.pictures import Listing, read_span, shown
from nasfit.tasks.sources import Nature, Progress, Wanted, Written


@dataclass(frozen=True)
class PictureSource:
    """`stamp` is its identity; `listing` lists the pictures, which may take minutes where there are millions."""

    own_name: str
    root: Path
    stamp: str
    listing: Callable[[], Listing]

    @property
    def name(self) -> str:
        """What the data is called in reports."""
        return shown(self.own_name)

    def identity(self) -> str:
        """Hash of the files' names, sizes and times."""
        return self.stamp

    def nature(self, up_to: int) -> Nature:
        """Of pictures in files."""
        listing = self.listing()
        return Nature(own_resolution(listing, up_to), streams=listing.read is read_span)

    def write(self, directory: Path, wanted: Wanted, progress: Progress | None) -> Written:
        """List and decode; DataError where too little can be read."""
        return build(self.root, self.listing(), directory, wanted, progress)
