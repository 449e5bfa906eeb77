"""TensorBoard's files of a full training."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Self

from tensorboardX import SummaryWriter

from nasfit.training import EpochEnded, Stepped, TrainingEvent

DIRECTORY = "tensorboard"


class TrainingLog:
    """Writes a training's events to `directory`; what an interrupted run wrote after `step` is left out of view."""

    def __init__(self, directory: Path, step: int) -> None:
        self._writer = SummaryWriter(str(directory / DIRECTORY), purge_step=step)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.close()

    def write(self, event: TrainingEvent) -> None:
        """Takes what can be drawn over steps."""
        match event:
            case Stepped():
                self._write({"loss": event.loss, "rate": event.rate, "speed": event.examples_per_second}, event.step)
            case EpochEnded():
                metrics = {name: value for name, value in event.row.items() if name not in ("epoch", "step")}
                self._write({f"epoch/{name}": value for name, value in metrics.items()}, int(event.row["step"]))

    def _write(self, values: dict[str, float], step: int) -> None:
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)
