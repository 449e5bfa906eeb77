"""What a training of a detector is asked for, and the plan that it keeps to when it goes on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from nasfit.architecture import Detector
from nasfit.errors import TrainingError, UsageError
from nasfit.study.files import write_whole

PLAN, RESULT = "plan.json", "result.json"


@dataclass(frozen=True)
class DetectorSettings:
    """architecture: of the backbone, in text form. data: folder or COCO file. resolution: of the input, px.

    epochs or budget_s: how long; exactly one is given. weights: file of a classification training, or None. batch:
    pictures at once; accumulate: of them a step. rate: learning rate in place of the recipe's. device, engine: where
    latency is measured; engine None measures none.
    """

    architecture: str
    data: str
    resolution: int = 320
    epochs: float | None = None
    budget_s: float | None = None
    weights: str | None = None
    batch: int = 16
    accumulate: int = 1
    rate: float | None = None
    flip: bool = True
    seed: int = 0
    device: str = "local"
    engine: str | None = "litert"

    def __post_init__(self) -> None:
        if (self.epochs is None) == (self.budget_s is None):
            raise UsageError("give either --epochs N or --budget TIME, such as --budget 30m")
        require_above_zero(
            {"--epochs": self.epochs, "--batch": self.batch, "--accumulate": self.accumulate, "--lr": self.rate}
        )


def require_above_zero(values: Mapping[str, float | None]) -> None:
    """values: by their options; None is not asked. Raises UsageError naming the first that is 0 or below."""
    for option, value in values.items():
        if value is not None and not value > 0:
            raise UsageError(f"{option} is {value:g}; it must be above 0")


@dataclass(frozen=True)
class DetectorPlan:
    """What was decided at the start. detector: in text form. epochs: of all pictures. fingerprint: of the data."""

    detector: str
    epochs: float
    fingerprint: str

    @property
    def value(self) -> Detector:
        """The detector itself."""
        return Detector.parse(self.detector)


# What may be another when a training goes on: the pictures of a step stay the same, in pieces of another size.
_FREE = {"device", "engine", "data", "batch", "accumulate"}


def kept_plan(directory: Path, settings: DetectorSettings) -> DetectorPlan | None:
    """The plan of a directory, None where there is none yet.

    Raises TrainingError for a damaged one, UsageError where the settings it was made for are others.
    """
    file = directory / PLAN
    try:
        document: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        plan, before = DetectorPlan(**document["plan"]), DetectorSettings(**document["settings"])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TrainingError(f"{str(file)!r} does not read ({error}); remove the directory to begin anew") from error
    told, now = _question(before), _question(settings)
    for name, value in now.items():
        if told[name] != value:
            raise UsageError(
                f"{str(directory)!r} holds a training with another {name.replace('_', ' ')}: {told[name]}, "
                f"now {value}; give the same options to go on, or another --out"
            )
    return plan


def _question(settings: DetectorSettings) -> dict[str, Any]:
    """What must stay the same, by its name."""
    kept = {each.name: getattr(settings, each.name) for each in fields(settings) if each.name not in _FREE}
    return {**kept, "pictures_a_step": settings.batch * settings.accumulate}


def keep_plan(directory: Path, settings: DetectorSettings, plan: DetectorPlan) -> None:
    """Writes it, whole or not at all."""
    document = {"plan": asdict(plan), "settings": asdict(settings)}
    write_whole(directory, PLAN, json.dumps(document, indent=1).encode())
