"""What the start-up calibration chose for a study, and how a budget is spent."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from nasfit.search.settings import Settings

if TYPE_CHECKING:
    from nasfit.training import Pace

SEARCH_SHARE, PROMOTION_SHARE = 0.5, 0.12
WANTED_TRIALS = 48
PROXY_IMAGES = 20_000
LEAST_IMAGES = 2_000
# A full training passes over the pictures at most so often.
MOST_EPOCHS = 60


def search_left_s(spent_s: Mapping[str, float], budget_s: float) -> float:
    """Seconds left of the search's share of a budget. spent_s: by kind of work, as the study has recorded."""
    return budget_s * SEARCH_SHARE - spent_s.get("search", 0.0) - spent_s.get("calibration", 0.0)


@dataclass(frozen=True)
class Forecast:
    """How a budget will be spent, s. trials: networks trained in the search's share, about."""

    workers: int
    search_s: float
    trials: int
    promotion_s: float
    final_s: float


@dataclass(frozen=True)
class Plan:
    """What the calibration chose, for one study.

    speed: images a second that one worker trains a network near the limit at, estimated. trial_s: seconds of one trial.
    smallest_ms, middle_ms, largest_ms: measured latencies across the space. evaluator: where accuracies come from,
    evaluator_reason: and why, empty in a study of an earlier version. proxy_reason: why trials are so long, where a
    check of the search's own said so. train_precision, progressive: see `Pace`; precision_gain: how many times as fast
    bf16 trains here as fp32, None where it was not tried.
    """

    width: float
    strides: str
    resolution: int
    proxy_images: int
    speed: float
    trial_s: float
    smallest_ms: float
    middle_ms: float
    largest_ms: float
    evaluator: str = "standalone"
    evaluator_reason: str = ""
    proxy_reason: str = ""
    train_precision: str = "fp32"
    precision_gain: float | None = None
    progressive: bool = False

    @property
    def pace(self) -> Pace:
        """How all networks of the study are trained."""
        # Whoever only reads a plan loads no torch.
        from nasfit.training import Pace

        return Pace(self.train_precision, self.progressive)

    def as_json(self) -> dict[str, Any]:
        """Plain values, as the study keeps them."""
        return asdict(self)

    def forecast(self, settings: Settings) -> Forecast:
        """What the budget is spent on, by the calibration."""
        # As above: no pool of processes for whoever only reads.
        from nasfit.workers import available_cores

        workers = settings.workers or available_cores()
        search_s = SEARCH_SHARE * settings.budget_s
        trials = min(int(search_s * workers / self.trial_s), settings.max_trials or sys.maxsize)
        promotion_s = PROMOTION_SHARE * settings.budget_s
        return Forecast(workers, search_s, trials, promotion_s, settings.budget_s - search_s - promotion_s)

    def lines(self, settings: Settings) -> Iterator[str]:
        """What to tell the user, doubts included."""
        yield (
            f"space {settings.space} x{self.width:g}, {self.strides} strides at {self.resolution} px: "
            f"{self.smallest_ms:.3g} to {self.largest_ms:.3g} ms on this device, "
            f"a middling network {self.middle_ms:.3g} ms"
        )
        pace = f"about {self.trial_s:.0f} s at {self.speed:,.0f} a second"
        yield f"a trial trains on {self.proxy_images:,} pictures, {pace}"
        if self.precision_gain is not None:
            yield f"trains in {self.train_precision}: bf16 is {self.precision_gain:.2g} times as fast as fp32 here"
        if self.proxy_reason:
            yield f"that length: {self.proxy_reason}"
        if self.evaluator_reason:
            yield f"accuracies: {self.evaluator} ({self.evaluator_reason})"
        if self.largest_ms <= settings.target_ms:
            yield (
                f"warning: every network of the space meets {settings.target_ms:g} ms; "
                f"a lower --target-ms or a larger --width or --resolution makes the limit bind"
            )
