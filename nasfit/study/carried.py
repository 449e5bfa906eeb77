"""Files of a study on their way between machines that share no disk: the database carries them."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import delete, select

from nasfit.study.files import write_whole
from nasfit.study.tables import FILES, Opened, upsert


class CarriedFiles:
    """By their paths within the study. needed: whether they are carried; with one disk nothing has to be done."""

    def __init__(self, directory: Path, reading: Opened, writing: Opened, *, needed: bool) -> None:
        self._directory, self._reading, self._writing = directory, reading, writing
        self.needed = needed

    def send(self, relative: str) -> None:
        """Give this machine's file to the others, in place of an earlier one. Raises OSError where it is missing."""
        if self.needed:
            row = {"name": relative, "content": (self._directory / relative).read_bytes()}
            with self._writing() as connection:
                upsert(connection, FILES, row, lambda new: {"content": new.content})

    def fetch(self, relative: str) -> None:
        """Bring a file to this machine, unless nobody sent it: then it is here or nowhere."""
        if not self.needed:
            return
        with self._reading() as connection:
            row = connection.execute(select(FILES.c.content).where(FILES.c.name == relative)).first()
        if row is not None:
            write_whole(self._directory, relative, row.content)

    def forget(self, relative: str) -> None:
        """It has arrived."""
        if self.needed:
            with self._writing() as connection:
                connection.execute(delete(FILES).where(FILES.c.name == relative))
