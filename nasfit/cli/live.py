"""What the live views share: lines that tell how long it has run, and one progress bar where there is a terminal."""

from __future__ import annotations

import os
import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from nasfit.cli.quantities import duration

# What is said now and then is said this often.
SAID_EVERY_S = 60.0


class Live:
    """Lines and a bar; a context manager. quiet: on standard error. silent: nothing, of a process that only helps."""

    def __init__(self, *, quiet: bool = False, silent: bool = False) -> None:
        self._console = Console(stderr=quiet, highlight=False, soft_wrap=True, quiet=silent)
        self._bar = Progress(
            TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[note]}"), console=self._console
        )
        self._task: TaskID | None = None
        self._since = self._said_at = time.monotonic()

    def __enter__(self) -> Self:
        if self.has_bar:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.has_bar:
            self._bar.stop()

    @property
    def has_bar(self) -> bool:
        """Whether there is one to see."""
        return draws_bar(self._console)

    def say(self, line: str) -> None:
        """A line."""
        self._said_at = time.monotonic()
        self._console.print(f"[{duration(self._said_at - self._since):>7}] {line}", markup=False)

    def say_now_and_then(self, line: str) -> None:
        """A line, unless one was said within a minute."""
        if time.monotonic() - self._said_at >= SAID_EVERY_S:
            self.say(line)

    def advance(self, what: str, share: float, note: str) -> None:
        """The bar. share: of 0..1, of what is done."""
        if self._task is None:
            self._task = self._bar.add_task(what, total=1.0, note=note)
        self._bar.update(self._task, description=what, completed=min(1.0, max(0.0, share)), note=note)

    def step(self, what: str, done: int, of: int, note: str) -> None:
        """The bar where there is one, elsewhere a line now and then."""
        if self.has_bar:
            self.advance(what, done / of, note)
        else:
            self.say_now_and_then(f"{what} {done:,} of {of:,}: {note}" if note else f"{what} {done:,} of {of:,}")


def draws_bar(console: Console) -> bool:
    """Whether a bar that moves has a place there: a terminal that can, and nobody who keeps the lines, as CI does."""
    return console.file.isatty() and not console.is_dumb_terminal and not os.environ.get("CI")
