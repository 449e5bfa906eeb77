"""The live view of a search: a progress bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from types import TracebackType

from nasfit.cli.live import Live
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
# Fewer say little about how long the next will take.
FEWEST_TRAINED = 3


class View:
    """Shows the events of one search or check; use it as a context manager. budget_s: time for everything, s."""

    def __init__(self, budget_s: float, *, quiet: bool = False) -> None:
        self._live = Live(quiet=quiet)
        self._search_s = budget_s * SEARCH_SHARE
        self._best: Trial | None = None
        self._planned_at = time.monotonic()
        self._trained = 0
        self._said: set[str] = set()
        self._handler = _Handler(self._live.say)

    def __enter__(self) -> View:
        LOG.addHandler(self._handler)
        LOG.setLevel(logging.INFO)
        self._live.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        LOG.removeHandler(self._handler)
        self._live.__exit__(kind, error, trace)

    def show(self, event: Event) -> None:
        """Shows one event."""
        match event:
            case Prepared():
                for note in event.notes:
                    self._live.say(note)
                if event.resumed:
                    self._live.say(f"going on after {event.resumed} trials")
            case Planned():
                self._planned_at = time.monotonic()
                for line in event.plan.lines(event.settings):
                    self._live.say(line)
            case Noted():
                self._live.say(event.text)
            case ProxyStep():
                self._step("proxy check", event.done, event.of)
            case ProxyChosen():
                self._live.say(event.choice.verdict)
            case TrialFinished():
                self._trial(event)
            case FinaleStep():
                if event.what not in self._said:
                    self._said.add(event.what)
                    self._live.say(event.what)
                self._step("finale", event.done, event.of)
            case Finished():
                self._live.advance("finished", 1.0, "")

    def _trial(self, event: TrialFinished) -> None:
        trial, best = event.trial, event.best
        if trial.state is TrialState.FAILED:
            self._live.say(f"trial {trial.number} failed: {trial.reason}")
        if best is not None and best != self._best:
            self._best = best
            self._live.say(f"best so far: {points(best.accuracy)} at {best.latency_ms:.3g} ms (trial {best.number})")
        self._trained += "train" in trial.seconds and trial.duplicate_of is None
        self._live.advance("search", 1 - event.left_s / self._search_s, ", ".join(self._notes(event)))

    def _notes(self, event: TrialFinished) -> Iterator[str]:
        yield f"{event.finished} trials"
        if event.best is not None:
            yield f"best {points(event.best.accuracy)} at {event.best.latency_ms:.3g} ms"
        if self._trained >= FEWEST_TRAINED:
            pace_s = (time.monotonic() - self._planned_at) / self._trained
            yield f"about {max(0, round(event.left_s / pace_s))} more to train"
        yield f"{duration(event.left_s)} left"

    def _step(self, what: str, done: int, of: int) -> None:
        self._live.advance(what, done / of, f"{done} of {of}")


class _Handler(logging.Handler):
    """What is logged while a search runs, among its lines: a device that is waited for, how far decoding is."""

    def __init__(self, say: Callable[[str], None]) -> None:
        super().__init__()
        self._say = say

    def emit(self, record: logging.LogRecord) -> None:
        self._say(record.getMessage())
