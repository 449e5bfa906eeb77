"""The study of a search for detectors: what the search was asked for, and what the study's readers make of it."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from nasfit.architecture import Architecture
from nasfit.errors import StudyError
from nasfit.search.detector_settings import PLAN, RESULT, require_above_zero
from nasfit.search.plan import LEAST_IMAGES, MOST_EPOCHS
from nasfit.search.settings import Settings
from nasfit.space import DEFAULT_SPACE
from nasfit.study import Study

# Without a number of trials and a budget.
TRIALS = 40
PROXY_EPOCHS = 4.0
# Where it is trained, in the study's directory.
WINNER = "winner"
# What may differ when a study goes on.
MAY_CHANGE = ("trials", "budget_s")


@dataclass(frozen=True)
class DetectorSearchSettings:
    """target_ms: limit on the latency of the detector. proxy_epochs: of a trial's training; None for `PROXY_EPOCHS`, or
    on few pictures for as many as show `LEAST_IMAGES`.

    trials: points tried; None for as many as half of the budget allows, or without one for `TRIALS`. budget_s: of this
    run, search and training of the winner; None to search alone.

    weights: file of a classification network of the same space, from which each trial's backbone inherits what it can;
    None: backbones start fresh. width: multiplier of the space, 0 to 1 and above. resolution: of the input, px.
    device, engine: where latency is measured.
    """

    data: str
    target_ms: float
    trials: int | None = None
    budget_s: float | None = None
    proxy_epochs: float | None = None
    weights: str | None = None
    device: str = "local"
    engine: str = "litert"
    space: str = DEFAULT_SPACE
    width: float = 1.0
    resolution: int = 320
    batch: int = 16
    strategy: str = "guided"
    seed: int = 0

    def __post_init__(self) -> None:
        require_above_zero(
            {
                "--target-ms": self.target_ms,
                "--trials": self.trials,
                "--budget": self.budget_s,
                "--proxy-epochs": self.proxy_epochs,
                "--width": self.width,
                "--batch": self.batch,
            }
        )

    @classmethod
    def of_study(cls, kept: Mapping[str, Any]) -> DetectorSearchSettings | None:
        """From the settings of a study; None where it is of another search. Raises TypeError for another version."""
        if "proxy_epochs" not in kept:
            return None
        return cls(**{field.name: kept[field.name] for field in fields(cls) if field.name in kept})

    @property
    def most(self) -> int | None:
        """Trials wanted; None where the budget alone ends the search."""
        return TRIALS if self.trials is None and self.budget_s is None else self.trials

    def trial_epochs(self, pictures: int) -> float:
        """Passes over so many training pictures in a trial."""
        if self.proxy_epochs is not None:
            return self.proxy_epochs
        return min(MOST_EPOCHS, max(PROXY_EPOCHS, LEAST_IMAGES / pictures))

    def as_search(self) -> Settings:
        """What a search of classification networks would be asked in its place, for readers of any study."""
        return Settings(
            self.data,
            self.target_ms,
            device=self.device,
            engine=self.engine,
            space=self.space,
            strategy=self.strategy,
            width=self.width,
            resolution=self.resolution,
            max_trials=self.most,
            seed=self.seed,
            is_new=False,
        )

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def winner_command(settings: DetectorSearchSettings, backbone: Architecture) -> str:
    """The command line that trains a detector of the search for an hour."""
    asked = ["nasfit", "train-detector", str(backbone), settings.data, "--resolution", str(settings.resolution)]
    return shlex.join([*asked, "--budget", "1h"])


def winner_begun(study: Path) -> bool:
    """Whether the winner is in training, or trained: then nothing more is tried."""
    return (study / WINNER / PLAN).exists()


def winner_of(study: Path) -> dict[str, Any] | None:
    """What came of the winner, as `DetectorResult.as_json` tells it; None before. Raises StudyError."""
    file = study / WINNER / RESULT
    try:
        found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise StudyError(f"{str(file)!r} does not read ({error}); give the search's command again") from error
    return found


def has_done_all(study: Study, settings: DetectorSearchSettings) -> bool:
    """Whether the search has done all that its settings ask. Raises StudyError."""
    if settings.budget_s is not None:
        return winner_of(study.path) is not None
    return settings.most is not None and len(study.trials()) >= settings.most and not study.running()
