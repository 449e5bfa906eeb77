"""The live view of a search: a progress bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from nasfit.cli.quantities import duration, points
from nasfit.search import (
    Event,
    FinaleStep,
    Finished,
    Noted,
    Planned,
    Prepared,
    ProxyChosen,
    ProxyStep,
    TrialFinished,
)
from nasfit.search.plan import SEARCH_SHARE
from nasfit.study import Trial, TrialState

LOG = logging.getLogger("nasfit")


class View:
    """Shows the events of one search or check; use it as a context manager. budget_s: time for everything, s."""

    def __init__(self, budget_s: float, *, quiet: bool = False) -> None:
        self._console = Console(stderr=quiet, highlight=False, soft_wrap=True)
        self._bar = Progress(
            TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[note]}"), console=self._console
        )
        self._search_s = budget_s * SEARCH_SHARE
        self._task: TaskID | None = None
        self._best: Trial | None = None
        self._since = time.monotonic()
        self._said: set[str] = set()
        self._handler = _Handler(self._say)

    def __enter__(self) -> View:
        LOG.addHandler(self._handler)
        LOG.setLevel(logging.INFO)
        if self._console.is_terminal:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        LOG.removeHandler(self._handler)
        if self._console.is_terminal:
            self._bar.stop()

    def show(self, event: Event) -> None:
        """Shows one event."""
        match event:
            case Prepared():
                for note in event.notes:
                    self._say(note)
                if event.resumed:
                    self._say(f"going on after {event.resumed} trials")
            case Planned():
                for line in event.plan.lines(event.settings):
                    self._say(line)
            case Noted():
                self._say(event.text)
            case ProxyStep():
                self._step("proxy check", event.done, event.of)
            case ProxyChosen():
                self._say(event.choice.verdict)
            case TrialFinished():
                self._trial(event)
            case FinaleStep():
                if event.what not in self._said:
                    self._said.add(event.what)
                    self._say(event.what)
                self._step("finale", event.done, event.of)
            case Finished():
                self._advance("finished", 1.0, "")

    def _trial(self, event: TrialFinished) -> None:
        trial, best = event.trial, event.best
        if trial.state is TrialState.FAILED:
            self._say(f"trial {trial.number} failed: {trial.reason}")
        if best is not None and best != self._best:
            self._best = best
            self._say(f"best so far: {points(best.accuracy)} at {best.latency_ms:.3g} ms (trial {best.number})")
        note = f"{event.finished} trials, {duration(event.left_s)} left"
        self._advance("search", 1 - event.left_s / self._search_s, note)

    def _step(self, what: str, done: int, of: int) -> None:
        self._advance(what, done / of, f"{done} of {of}")

    def _advance(self, what: str, share: float, note: str) -> None:
        if self._task is None:
            self._task = self._bar.add_task(what, total=1.0, note=note)
        self._bar.update(self._task, description=what, completed=min(1.0, max(0.0, share)), note=note)

    def _say(self, line: str) -> None:
        passed = duration(time.monotonic() - self._since)
        self._console.print(f"[{passed:>7}] {line}", markup=False)


class _Handler(logging.Handler):
    """What is logged while a search runs, among its lines: a device that is waited for, how far decoding is."""

    def __init__(self, say: Callable[[str], None]) -> None:
        super().__init__()
        self._say = say

    def emit(self, record: logging.LogRecord) -> None:
        self._say(record.getMessage())
