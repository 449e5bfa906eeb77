"""What every step of a search works with: settings, data, instrument, workers, study, and the mapping from tokens."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from nasfit.architecture import Architecture, adapted
from nasfit.latency.predictor import Predictor
from nasfit.objective import Goal
from nasfit.search.exponent import exponent_of
from nasfit.search.goal import Value, goal_of, value_of
from nasfit.search.measuring import Instrument
from nasfit.search.plan import Plan
from nasfit.search.settings import Settings
from nasfit.search.shared_pool import Workers
from nasfit.space import SearchSpace, Tokens
from nasfit.study import Study
from nasfit.tasks import ClassificationData


@dataclass(frozen=True)
class Setup:
    """An opened study with everything that evaluates its trials."""

    settings: Settings
    plan: Plan
    space: SearchSpace
    data: ClassificationData
    data_directory: Path
    instrument: Instrument
    pool: Workers
    study: Study
    predictor: Predictor | None = None

    @property
    def goal(self) -> Goal:
        """What trials are judged by; a calibrated exponent counts from the moment it is stored."""
        calibrated = exponent_of(self.study) if self.settings.calibrate_exponent else None
        return goal_of(self.settings, calibrated)

    @property
    def reward(self) -> Value:
        """What a trial of some accuracy and latency (ms) is worth."""
        return value_of(self.goal)

    def architecture(self, tokens: Tokens) -> Architecture:
        """The network that is built for a point: scaled to the study's width, fitted to its pictures."""
        return self.fitted(self.space.decode(tokens, self.plan.width))

    def fitted(self, network: Architecture, strides: str | None = None) -> Architecture:
        """Any network with the study's input and classes, by its stride rule or the one given; widths stay."""
        return adapted(
            network,
            resolution=self.data.resolution,
            channels=self.data.channels,
            classes=len(self.data.classes),
            strides=strides or self.plan.strides,
        )
