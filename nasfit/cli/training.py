"""`nasfit train`: one network, trained fully."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import torch

from nasfit.architecture import PUBLISHED
from nasfit.cli.interrupting import interruptible
from nasfit.cli.networks import Fitting, architecture_named
from nasfit.cli.quantities import seconds
from nasfit.cli.training_view import TrainingView, conclusion
from nasfit.errors import StudyError, UnknownNameError, UsageError
from nasfit.search import FullFinished, FullPlanned, FullSettings, best_under, run_full_training
from nasfit.search.asking import file_name
from nasfit.search.result import Result
from nasfit.study import Study
from nasfit.training import joined_ranks
from nasfit.training.memory import keep_memory


@dataclass(frozen=True)
class Asked:
    """settings: of the training. name: what its network is called in the name of a directory."""

    settings: FullSettings
    name: str

    @property
    def directory(self) -> Path:
        """runs/train-NETWORK-DATA-RECIPE-seedN: the same for the same question."""
        settings = self.settings
        recipe = f"-{settings.recipe}" if settings.recipe else ""
        return Path("runs") / f"train-{self.name}-{file_name(settings.data)}{recipe}-seed{settings.seed}"


def asked(given: Mapping[str, Any]) -> Asked:
    """The settings that the options of `nasfit train` ask for. given: every option's value, by its name.

    Raises UsageError, UnknownNameError, StudyError.
    """
    name, text, is_fixed = asked_network(given["source"], given["pick"], given["width"])
    every, as_it_is = given["checkpoint_every"], {field.name for field in fields(FullSettings)} & set(given)
    settings = FullSettings(
        **{
            **{option: given[option] for option in as_it_is},
            "network": text,
            "is_fixed": is_fixed,
            "budget_s": None if given["budget"] is None else seconds(given["budget"]),
            "saved_every_s": 0.0 if every in ("0", "0s") else seconds(every),
            "weights": None if given["weights"] is None else str(given["weights"]),
            "rate": given["lr"],
            "compiled": given["compile_"],
            "balanced": given["balance"],
            "logs": tuple(given["log"] or ()),
        }
    )
    return Asked(settings, name)


def run(wanted: Asked, out: Path | None, *, only_plan: bool, as_json: bool) -> None:
    """Trains, or goes on, and prints what comes of it; exit code 130 when interrupted, with how to go on."""
    directory = out or wanted.directory
    device = torch.device(wanted.settings.device or ("cuda" if torch.cuda.is_available() else "cpu"))
    keep_memory()
    planned: FullPlanned | None = None
    result: dict[str, Any] | None = None
    with joined_ranks(device) as ranks, interruptible("checkpoint"):
        speaks = ranks.is_first
        with TrainingView(quiet=as_json, silent=not speaks) as view:
            events = run_full_training(
                wanted.settings, directory, ranks=ranks, only_plan=only_plan, progress=view.decoded
            )
            for event in events:
                view.show(event)
                if isinstance(event, FullPlanned):
                    planned = event
                if isinstance(event, FullFinished):
                    result = event.result
    if not speaks:
        return
    if result is None:
        if as_json and planned is not None:
            plan = {**asdict(planned.plan), "seconds": planned.seconds}
            print(json.dumps({"directory": str(directory), "plan": plan}, indent=1))
        return
    if as_json:
        print(json.dumps({"directory": str(directory), "result": result}, indent=1))
        return
    print()
    for line in conclusion(directory, result):
        print(line)


def asked_network(text: str, pick: str | None, width: float | None) -> tuple[str, str, bool]:
    """Name for a directory, text form, and whether its resolution and strides are its own."""
    if "|" not in text and text not in PUBLISHED and Path(text).is_dir():
        if width is not None:
            raise UsageError("--width goes with published networks; those of a study have widths of their own")
        name, architecture = _of_study(Path(text), pick)
        return f"{file_name(text)}-{file_name(name)}", architecture, True
    if pick is not None:
        raise UsageError(f"--network picks one of a study, and {text!r} is no study's directory; leave it out")
    network = architecture_named(text, Fitting(width))
    if text in PUBLISHED:
        return text if width is None else f"{text}-x{width:g}", str(network), False
    return "network", str(network), "|" in text


def _of_study(path: Path, pick: str | None) -> tuple[str, str]:
    """Name and text form of the network picked: the one handed over where none is."""
    with Study.open(path, read_only=True) as study:
        stored, target_ms, trials = study.document("result"), study.settings.get("target_ms"), study.trials()
    if stored is None:
        best = best_under(trials, float(target_ms or 0))
        if pick is not None or best is None:
            raise StudyError(f"study {str(path)!r} has no result yet; let its search finish, or name an architecture")
        return f"trial-{best.number}", best.architecture
    result = Result.from_json(stored)
    names = {contender.name: contender.architecture for contender in result.contenders}
    if pick is not None and pick not in names:
        raise UnknownNameError(f"network of study {str(path)!r}", pick, names)
    if pick is None and not result.found:
        raise StudyError(f"study {str(path)!r} has found no network; pick another with --network")
    chosen = pick or (result.contenders[result.best] if result.best is not None else result.found[0]).name
    return chosen, names[chosen]
