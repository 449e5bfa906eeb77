"""`nasfit train-detector`: trains a detector, shows how it goes, prints what it is worth."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from nasfit.architecture import Architecture
from nasfit.cli.quantities import duration, points
from nasfit.cli.searching import file_name, interruptible
from nasfit.cli.training import asked_network
from nasfit.devices import open_device
from nasfit.search.detector_run import DetectorEvent, DetectorReady, DetectorResult, train_detector
from nasfit.search.detector_settings import DetectorSettings
from nasfit.search.result import Result
from nasfit.study import Study
from nasfit.training.training_events import Began, EpochEnded, Stepped


@dataclass(frozen=True)
class Backbone:
    """What ARCH|STUDY stands for. architecture: text form. weights: file of its training, None where there is none."""

    architecture: str
    weights: str | None
    name: str


def run(settings: DetectorSettings, out: Path | None, name: str, *, as_json: bool) -> None:
    """Trains, or goes on; prints the result. Exit code 130 when interrupted, with how to go on."""
    directory = out or Path("runs") / f"{name}-on-{file_name(settings.data)}-{settings.resolution}px"
    device = None if settings.engine is None else open_device(settings.device, engine=settings.engine)
    result = None
    with interruptible("checkpoint"), _View() as view:
        for event in train_detector(
            settings, directory, cache=directory.parent / "data", device=device, decoding=view.decoded
        ):
            view.show(event)
            if isinstance(event, DetectorResult):
                result = event
    assert result is not None, "a training that ends has a result"
    if as_json:
        print(json.dumps({"out": str(directory), **result.as_json()}, indent=1, ensure_ascii=False))
        return
    for line in _lines(result, directory):
        print(line)


def backbone_of(text: str, width: float | None) -> Backbone:
    """The network handed over by a study, with its weights where they can be used; or a named network.

    Raises StudyError for a study that has found nothing, UsageError and UnknownNameError for what is neither.
    """
    name, architecture, _ = asked_network(text, None, width)
    return Backbone(architecture, _weights(Path(text), architecture) if Path(text).is_dir() else None, name)


def _weights(path: Path, architecture: str) -> str | None:
    """The file of a study's network, trained on colour pictures; None where there is none."""
    with Study.open(path, read_only=True) as study:
        document = study.document("result")
    contenders = Result.from_json(document).contenders if document is not None else ()
    files = [path / each.weights for each in contenders if each.architecture == architecture]
    is_colour = Architecture.parse(architecture).channels == 3
    return str(files[0]) if is_colour and files and files[0].is_file() else None


def with_backbone(settings: DetectorSettings, found: Backbone) -> DetectorSettings:
    """The settings with the backbone's own weights, where none are named."""
    return settings if settings.weights else replace(settings, weights=found.weights)


class _View:
    """Shows the events of one training on standard error; use it as a context manager."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False, soft_wrap=True)
        self._bar = Progress(
            TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[note]}"), console=self._console
        )
        self._task: TaskID | None = None
        self._since = time.monotonic()
        self._steps = 1

    def __enter__(self) -> _View:
        if self._console.is_terminal:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._console.is_terminal:
            self._bar.stop()

    def decoded(self, done: int, total: int) -> None:
        """Shows how far the decoding of pictures is."""
        self._advance("pictures", done / total, f"{done:,} of {total:,}")

    def show(self, event: DetectorEvent) -> None:
        """Shows one event."""
        match event:
            case DetectorReady():
                self._steps = event.steps
                for note in event.data.notes:
                    self._say(note)
                sizes = ", ".join(f"{len(split):,} {part}" for part, split in event.data.splits().items())
                self._say(f"{len(event.data.classes)} classes; pictures: {sizes}")
                self._say(f"{event.epochs:g} epochs, {event.steps:,} steps")
            case Began() if event.step:
                self._say(f"going on after step {event.step:,}")
            case Stepped():
                note = (
                    f"loss {event.loss:.3g}, {event.examples_per_second:.3g} pictures/s, {duration(event.left_s)} left"
                )
                self._advance("training", event.step / self._steps, note)
            case EpochEnded():
                mark = " (best so far)" if event.is_best else ""
                row = event.row
                self._say(f"epoch {row['epoch']:g}: loss {row['loss']:.3f}, validation mAP {points(row['map'])}{mark}")
            case DetectorResult():
                self._advance("finished", 1.0, "")

    def _advance(self, what: str, share: float, note: str) -> None:
        if self._task is None:
            self._task = self._bar.add_task(what, total=1.0, note=note)
        self._bar.update(self._task, description=what, completed=share, note=note)

    def _say(self, line: str) -> None:
        self._console.print(f"[{duration(time.monotonic() - self._since):>7}] {line}", markup=False)


def _lines(result: DetectorResult, directory: Path) -> Iterator[str]:
    yield f"{'':<12}{'mAP':>9}{'at 0.5':>9}{'at 0.75':>9}{'small':>9}{'medium':>9}{'large':>9}"
    for part, scores in (("validation", result.validation), ("test", result.test)):
        values = (scores.map, scores.map_50, scores.map_75, scores.small, scores.medium, scores.large)
        yield f"{part:<12}" + "".join(f"{_percent(value):>9}" for value in values)
    yield ""
    yield "test mAP by class: " + ", ".join(
        f"{name} {_percent(value)}" for name, value in result.test.per_class.items()
    )
    yield f"parameters {result.parameters:,}, multiply-adds {result.madds:,}"
    if result.latency is not None:
        told = result.latency
        yield f"latency   {told['latency_ms']:.3g} ms ({told['device']}, {told['engine']})"
    else:
        yield f"latency   not measured: {result.untold}"
    yield f"files     {', '.join(str(directory / file) for file in result.files.values())}"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f} %"
