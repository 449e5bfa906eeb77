"""The live view of a detector's training: a progress bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from nasfit.cli.live import Live
from nasfit.cli.quantities import duration, points
from nasfit.search.detector_run import DetectorEvent, DetectorReady, DetectorResult
from nasfit.training.training_events import Began, EpochEnded, Stepped


class DetectorView:
    """Shows the events of one training on standard error; use it as a context manager."""

    def __init__(self) -> None:
        self._live = Live(quiet=True)
        self._steps = 1

    def __enter__(self) -> Self:
        self._live.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.__exit__(kind, error, trace)

    def decoded(self, done: int, total: int) -> None:
        """Shows how far the decoding of pictures is."""
        self._live.step("pictures decoded", done, total, "")

    def show(self, event: DetectorEvent) -> None:
        """Shows one event."""
        match event:
            case DetectorReady():
                self._steps = event.steps
                for note in event.data.notes:
                    self._live.say(note)
                sizes = ", ".join(f"{len(split):,} {part}" for part, split in event.data.splits().items())
                self._live.say(f"{len(event.data.classes)} classes; pictures: {sizes}")
                about = "" if event.seconds is None else f", about {duration(event.seconds)}"
                self._live.say(f"{event.epochs:g} epochs, {event.steps:,} steps{about}")
            case Began() if event.step:
                self._live.say(f"going on after step {event.step:,}")
            case Stepped():
                note = (
                    f"loss {event.loss:.3g}, {event.examples_per_second:.3g} pictures/s, {duration(event.left_s)} left"
                )
                self._live.step("step", event.step, self._steps, note)
            case EpochEnded():
                mark = " (best so far)" if event.is_best else ""
                row = event.row
                self._live.say(
                    f"epoch {row['epoch']:g}: loss {row['loss']:.3f}, validation mAP {points(row['map'])}{mark}"
                )
            case DetectorResult():
                self._live.advance("finished", 1.0, "")
