"""`nasfit train`: pictures, plan, training, test and files of one network, in one directory."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from nasfit.architecture import Architecture, count
from nasfit.errors import StudyError, UsageError
from nasfit.models import build
from nasfit.search.cards import training_card
from nasfit.search.events import Noted
from nasfit.search.full_pictures import FullPictures, full_pictures
from nasfit.search.full_settings import MAY_CHANGE, FullSettings
from nasfit.search.run import versions
from nasfit.search.training_log import TrainingLog
from nasfit.study.files import write_whole
from nasfit.study.settings import changed, plain
from nasfit.tasks import locked
from nasfit.training import (
    ALONE,
    BEST,
    LAST,
    Began,
    Completed,
    FullPlan,
    Ranks,
    Setting,
    TrainingEvent,
    best_device,
    bf16_in_hardware,
    calibration_pictures,
    classification_training,
    described,
    described_weights,
    fitted,
    fresh_network,
    full_plan,
    full_training,
    metrics,
    planned_seconds,
    seconds_per_step,
    seen_in_evaluation,
    shipped_file,
    start_from,
)

FACTS, RESULT, HISTORY, CARD = "training.json", "result.json", "history.json", "model.md"
# What of a time budget is left to the start, the test and the files.
BUDGET_SHARE = 0.92
FORMATS = ("tflite", "onnx")


@dataclass(frozen=True)
class FullPlanned:
    """What the training comes to. seconds: of it, an estimate from some steps; None where it is gone on with."""

    plan: FullPlan
    pictures: FullPictures
    setting: Setting
    seconds: float | None


@dataclass(frozen=True)
class FullFinished:
    """result: plain values, as kept in RESULT. is_new: False where it was finished before."""

    result: dict[str, Any]
    is_new: bool


FullEvent = Noted | FullPlanned | TrainingEvent | FullFinished


def run_full_training(
    settings: FullSettings,
    directory: Path,
    *,
    ranks: Ranks = ALONE,
    device: torch.device | None = None,
    only_plan: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Iterator[FullEvent]:
    """Trains a network fully, or goes on with it, tests it once and writes its files to `directory`.

    settings: a training goes on with the same ones only. ranks: every process runs this; the first writes, tests and
    tells. device: torch's, None takes that of the settings. only_plan: end after the plan, nothing trained. progress:
    told how many pictures of how many are decoded. Raises UsageError, DataError, TrainingError, and StudyError where
    the directory holds another training.
    """
    with ExitStack() as held:
        if ranks.is_first:
            try:
                directory.mkdir(parents=True, exist_ok=True)
                held.enter_context(locked(directory, wait=False))
            except BlockingIOError as error:
                raise StudyError(f"{str(directory)!r} is being trained in by another process; wait for it") from error
            except OSError as error:
                raise StudyError(f"cannot make {str(directory)!r}: {error.strerror}; give another --out") from error
        known = _known(settings, directory, ranks)
        if known is not None and (directory / RESULT).is_file():
            yield FullFinished(_read(directory / RESULT), is_new=False)
            return
        pictures = full_pictures(settings, directory / "data", progress)
        for note in pictures.notes:
            yield Noted(note)
        setting = _setting(settings, device or _device(settings), ranks)
        network = fresh_network(pictures.network, pictures.recipe, settings.seed)
        if settings.weights is not None:
            share = start_from(network, Path(settings.weights))
            yield Noted(f"{share:.0%} of the parameters begin with the weights in {settings.weights}")
        if known is None:
            planned = _planned(settings, pictures, setting, network)
        else:
            planned = FullPlanned(_plan_of(known, pictures, ranks, directory), pictures, setting, None)
        yield planned
        if only_plan:
            return
        if known is None and ranks.is_first:
            _write(directory, FACTS, _facts(settings, planned))
        training = classification_training(network, pictures.data, pictures.recipe, planned.plan, setting)
        start = directory / LAST
        events = full_training(
            training,
            keep=partial(_keep, directory),
            start=start if known is not None and start.exists() else None,
            ranks=ranks,
            saved_every_s=settings.saved_every_s,
        )
        completed = yield from _logged(events, directory, settings, ranks)
        if completed is not None:
            yield FullFinished(_finished(directory, planned, completed), is_new=True)


def _known(settings: FullSettings, directory: Path, ranks: Ranks) -> dict[str, Any] | None:
    """The facts of the training that the directory holds, None of a fresh one; the same in every process."""
    path = directory / FACTS
    # Before the first checkpoint there is nothing to go on with, and settings may have been mended.
    is_known = path.is_file() and any((directory / name).is_file() for name in (LAST, RESULT))
    if not ranks.agreed([float(is_known)])[0]:
        return None
    known = _read(path)
    try:
        changed(directory, known["settings"], plain(settings.as_json()), MAY_CHANGE)
    except StudyError as error:
        said = str(error).replace("study ", "the training in ", 1).replace("--study", "--out")
        raise StudyError(said) from None
    return known


def _device(settings: FullSettings) -> torch.device:
    if settings.device is None:
        return best_device()
    if settings.device == "cuda" and not torch.cuda.is_available():
        raise UsageError("torch sees no GPU here; leave out --device, or give --device cpu")
    return torch.device(settings.device)


def _setting(settings: FullSettings, device: torch.device, ranks: Ranks) -> Setting:
    # On a CPU bf16 gains a few percent at best (docs/explanation/training-speed.md).
    usual = "bf16" if device.type == "cuda" and bf16_in_hardware() else "fp32"
    precision = settings.precision or usual
    return Setting(device, precision, settings.compiled, settings.balanced, settings.seed, ranks)


def _planned(settings: FullSettings, pictures: FullPictures, setting: Setting, network: Any) -> FullPlanned:
    data, ranks = pictures.data, setting.ranks
    plan = full_plan(
        pictures.recipe,
        settings.wishes,
        pictures=len(data.train),
        side=pictures.side,
        world=ranks.world,
        on_cpu=setting.device.type == "cpu",
    )
    step_s = seconds_per_step(network, data, pictures.recipe, plan, setting)
    if settings.budget_s is not None:
        plan = fitted(plan, BUDGET_SHARE * settings.budget_s, step_s, len(data.validation))
    return FullPlanned(plan, pictures, setting, planned_seconds(plan, step_s, len(data.validation)))


def _facts(settings: FullSettings, planned: FullPlanned) -> dict[str, Any]:
    pictures, data = planned.pictures, planned.pictures.data
    return {
        "settings": settings.as_json(),
        "architecture": str(pictures.network),
        "recipe": asdict(pictures.recipe),
        "plan": planned.plan.as_json(),
        "precision": planned.setting.precision,
        "device": str(planned.setting.device),
        "threads": torch.get_num_threads(),
        "data": {"name": data.name, "fingerprint": data.fingerprint, "pictures": len(data.train)},
        "classes": list(data.classes),
        "mean": list(data.mean),
        "std": list(data.std),
        "versions": versions(),
    }


def _plan_of(known: dict[str, Any], pictures: FullPictures, ranks: Ranks, directory: Path) -> FullPlan:
    if known["data"]["fingerprint"] != pictures.data.fingerprint:
        raise StudyError(
            f"the pictures changed since the training in {str(directory)!r} began; put them back, or give another --out"
        )
    plan = FullPlan(**known["plan"])
    if plan.world != ranks.world:
        raise StudyError(
            f"the training in {str(directory)!r} was begun with {plan.world} processes, this is one of {ranks.world}; "
            f"start it with {plan.world}"
        )
    return plan


def _logged(
    events: Iterator[TrainingEvent], directory: Path, settings: FullSettings, ranks: Ranks
) -> Generator[TrainingEvent, None, Completed | None]:
    """Passes events on, the first process's into the logs too; returns the last."""
    with ExitStack() as open_log:
        log: TrainingLog | None = None
        for event in events:
            if isinstance(event, Began) and ranks.is_first:
                log = open_log.enter_context(
                    TrainingLog(directory, event.step, settings.logs, plain(settings.as_json()))
                )
            elif log is not None:
                log.write(event)
            yield event
            if isinstance(event, Completed):
                return event
    return None


def _finished(directory: Path, planned: FullPlanned, completed: Completed) -> dict[str, Any]:
    """Tests the best weights once and writes the network's files; what is kept as RESULT."""
    pictures, recipe = planned.pictures, planned.pictures.recipe
    architecture = pictures.network
    module = build(architecture)
    module.load_state_dict(described_weights(directory / BEST, described(architecture)))
    data = seen_in_evaluation(pictures.data, pictures.side)
    tested = metrics(module, data.test, data, planned.setting.device)
    module.cpu().eval()
    shown_BCHW = calibration_pictures(data)
    files, parity, sizes = {}, {}, {}
    for model_format in FORMATS:
        told = {"recipe": recipe.name, "crop": f"centre, {recipe.test_crop:g} of the shorter side"}
        content, parity[model_format] = shipped_file(
            module, str(architecture), data, shown_BCHW, model_format=model_format, told=told
        )
        files[model_format] = f"model.{model_format}"
        sizes[files[model_format]] = len(content)
        _keep(directory, files[model_format], content)
    counts = count(Architecture.parse(str(architecture)))
    result = {
        "architecture": str(architecture),
        "parameters": counts.parameters,
        "madds": counts.madds,
        "recipe": recipe.name,
        "epochs": planned.plan.epochs,
        "pictures": len(data.train),
        "test": {**tested, "pictures": len(data.test)},
        "validation": completed.best,
        "files": files,
        "parity": parity,
        "weights": BEST,
        "card": CARD,
        "device": str(planned.setting.device),
        "precision": planned.setting.precision,
        "versions": versions(),
    }
    card = training_card(directory.absolute().name, result, data, recipe.test_crop, sizes)
    _keep(directory, CARD, card.encode())
    _write(directory, HISTORY, list(completed.history))
    _write(directory, RESULT, result)
    return result


def _write(directory: Path, name: str, document: Any) -> None:
    _keep(directory, name, (json.dumps(document, indent=1) + "\n").encode())


def _keep(directory: Path, name: str, content: bytes) -> None:
    """Whole or not at all. Raises StudyError where the disk refuses."""
    try:
        write_whole(directory, name, content)
    except OSError as error:
        raise StudyError(
            f"cannot write {str(directory / name)!r}: {error.strerror or error}; what was written before is whole. "
            "Make room, then the same command goes on"
        ) from error


def _read(path: Path) -> dict[str, Any]:
    try:
        document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise StudyError(f"{str(path)!r} does not read: {error}; give another --out to begin anew") from error
    return document
