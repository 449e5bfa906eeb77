"""What every step of a search works with: settings, data, instrument, workers, study, and the mapping from tokens."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from nasfit.architecture import Architecture, adapted, scaled
from nasfit.latency.predictor import Predictor
from nasfit.objective import Reward
from nasfit.search.measuring import Instrument
from nasfit.search.plan import Plan
from nasfit.search.settings import Settings
from nasfit.space import SearchSpace, Tokens
from nasfit.study import Study
from nasfit.tasks import ClassificationData
from nasfit.workers import Pool


@dataclass(frozen=True)
class Setup:
    """An opened study with everything that evaluates its trials."""

    settings: Settings
    plan: Plan
    space: SearchSpace
    data: ClassificationData
    data_directory: Path
    instrument: Instrument
    pool: Pool
    study: Study
    predictor: Predictor | None = None

    @cached_property
    def reward(self) -> Reward:
        """The study's reward."""
        return Reward(self.settings.reward, self.settings.target_ms, self.settings.alpha, self.settings.beta)

    def architecture(self, tokens: Tokens) -> Architecture:
        """The network that is built for a point: scaled to the study's width, fitted to its pictures."""
        return self.fitted(scaled(self.space.decode(tokens), self.plan.width))

    def fitted(self, network: Architecture, strides: str | None = None) -> Architecture:
        """Any network with the study's input and classes, by its stride rule or the one given; widths stay."""
        return adapted(
            network,
            resolution=self.data.resolution,
            channels=self.data.channels,
            classes=len(self.data.classes),
            strides=strides or self.plan.strides,
        )
