"""`nasfit train-detector`: trains a detector, shows how it goes, prints what it is worth."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from nasfit.architecture import Architecture
from nasfit.cli.detector_view import DetectorView
from nasfit.cli.interrupting import interruptible
from nasfit.cli.training import asked_network
from nasfit.devices import open_device
from nasfit.search.asking import file_name
from nasfit.search.detector_run import DetectorReady, DetectorResult, train_detector
from nasfit.search.detector_settings import DetectorSettings
from nasfit.search.result import Result
from nasfit.study import Study


@dataclass(frozen=True)
class Backbone:
    """What ARCH|STUDY stands for. architecture: text form. weights: file of its training, None where there is none."""

    architecture: str
    weights: str | None
    name: str


def run(settings: DetectorSettings, out: Path | None, name: str, *, only_plan: bool, as_json: bool) -> None:
    """Trains, or goes on; prints the result, or the plan alone. Exit code 130 when interrupted, with how to go on."""
    directory = out or Path("runs") / f"{name}-on-{file_name(settings.data)}-{settings.resolution}px"
    with interruptible("checkpoint"):
        last = trained(settings, directory, cache=directory.parent / "data", only_plan=only_plan)
    if as_json:
        told = last.as_json() if isinstance(last, DetectorResult) else {"plan": _plan(last)}
        print(json.dumps({"out": str(directory), **told}, indent=1, ensure_ascii=False))
    elif isinstance(last, DetectorResult):
        for line in lines(last, directory):
            print(line)


def trained(
    settings: DetectorSettings, directory: Path, *, cache: Path, only_plan: bool = False
) -> DetectorResult | DetectorReady:
    """Trains, or goes on, and shows it; what came of it, or with only_plan what would. Raises as `train_detector`."""
    device = None if settings.engine is None else open_device(settings.device, engine=settings.engine)
    last: DetectorResult | DetectorReady | None = None
    with DetectorView() as view:
        events = train_detector(
            settings, directory, cache=cache, device=device, decoding=view.decoded, only_plan=only_plan
        )
        for event in events:
            view.show(event)
            if isinstance(event, DetectorReady | DetectorResult):
                last = event
    assert last is not None, "there is a plan at least"
    return last


def _plan(ready: DetectorReady) -> dict[str, float | None]:
    return {"epochs": ready.epochs, "steps": ready.steps, "seconds": ready.seconds}


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


def lines(result: DetectorResult, directory: Path) -> Iterator[str]:
    """A result for people."""
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
