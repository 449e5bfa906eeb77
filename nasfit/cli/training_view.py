"""The live view of a full training: a progress bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from nasfit.cli.live import Live
from nasfit.cli.quantities import duration, points
from nasfit.search import FullEvent, FullFinished, FullPlanned, Noted
from nasfit.training import Began, EpochEnded, Stepped


class TrainingView:
    """Shows the events of one training; use it as a context manager. silent: of a process that only helps."""

    def __init__(self, *, quiet: bool = False, silent: bool = False) -> None:
        self._live = Live(quiet=quiet, silent=silent)
        self._epochs, self._steps = 0, 1

    def __enter__(self) -> Self:
        self._live.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.__exit__(kind, error, trace)

    def show(self, event: FullEvent) -> None:
        """Shows one event."""
        match event:
            case Noted():
                self._live.say(event.text)
            case FullPlanned():
                self._epochs = -(-event.plan.steps // event.plan.steps_per_epoch)
                self._steps = event.plan.steps
                for line in plan_lines(event):
                    self._live.say(line)
            case Began() if event.step:
                self._live.say(f"going on after step {event.step:,}")
            case Stepped():
                self._stepped(event)
            case EpochEnded():
                row = event.row
                mark = ", the best so far" if event.is_best else ""
                self._live.say(
                    f"epoch {row['epoch']:.0f} of {self._epochs}: loss {row['loss']:.3f}, "
                    f"validation {points(row['accuracy'])}{mark}"
                    if "accuracy" in row
                    else f"epoch {row['epoch']:.0f} of {self._epochs}: loss {row['loss']:.3f}"
                )
            case FullFinished():
                self._live.say("finished" if event.is_new else "was finished before; nothing to do")

    def decoded(self, done: int, of: int) -> None:
        """Tells now and then how far the pictures are decoded."""
        self._live.step("pictures decoded", done, of, "")

    def _stepped(self, event: Stepped) -> None:
        note = f"loss {event.loss:.3f}, {event.examples_per_second:,.0f} images/s, {duration(event.left_s)} left"
        self._live.step("step", event.step, self._steps, note)


def plan_lines(planned: FullPlanned) -> Iterator[str]:
    """The plan in a few lines."""
    plan, pictures, setting = planned.plan, planned.pictures, planned.setting
    data, recipe = pictures.data, pictures.recipe
    yield f"{pictures.network}"
    yield (
        f"{len(data.train):,} pictures to train on, {len(data.validation):,} for validation, {len(data.test):,} for "
        f"the test; {plan.side} px, {len(data.classes)} classes"
    )
    pieces = [f"{plan.batch}", *[f"{plan.accumulate} times"] * (plan.accumulate > 1)]
    pieces += [f"in {plan.world} processes"] * (plan.world > 1)
    yield (
        f"recipe {recipe.name}: {plan.epochs:.3g} epochs, {plan.steps:,} steps of {plan.pictures} pictures "
        f"({', '.join(pieces)}), {recipe.optimizer}, learning rate {plan.peak:.3g}, {recipe.schedule}"
    )
    told = [f"on {setting.device}", setting.precision, *["compiled"] * setting.compiled]
    about = "" if planned.seconds is None else f"; about {duration(planned.seconds)}"
    yield f"{', '.join(told)}{about}"


def conclusion(directory: Path, result: dict[str, Any]) -> Iterator[str]:
    """A finished training in a few lines."""
    test, best = result["test"], result["validation"]
    yield (
        f"test accuracy {points(test['accuracy'])} on {test['pictures']:,} pictures "
        f"(mean of classes {points(test['mean_class_accuracy'])}); weights of epoch {best['epoch']:.0f}, "
        f"validation {points(best['accuracy'])}"
    )
    yield f"{result['parameters']:,} parameters, {result['madds']:,} multiply-adds"
    files = ", ".join(str(directory / name) for name in result["files"].values())
    yield f"files     {files}, {directory / result['weights']}"
    if "card" in result:
        yield f"card      {directory / result['card']}"
    yield f"latency   nasfit measure {directory / result['files']['tflite']}"
    yield f"curves    tensorboard --logdir {directory / 'tensorboard'}"
