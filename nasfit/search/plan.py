"""The start-up calibration: how wide a space and how long a trial fit budget, target and machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from nasfit.architecture import Architecture, adapted, count, scaled
from nasfit.errors import StudyError, TrialFailure, UsageError
from nasfit.search.measuring import Instrument, measured
from nasfit.search.settings import Settings
from nasfit.space import SearchSpace, Tokens
from nasfit.tasks import ClassificationData
from nasfit.training import Recipe, TrainingJob, training_speed
from nasfit.workers import Pool

SEARCH_SHARE, PROMOTION_SHARE = 0.5, 0.12
WANTED_TRIALS = 48
PROXY_IMAGES = 20_000
LEAST_IMAGES = 2_000

# From fast to slow networks. Late halvings are worth more accuracy at equal latency than wide early ones.
RUNGS = ((0.35, "early"), (0.35, "late"), (0.5, "late"), (0.75, "late"), (1.0, "late"))
# Stepping up goes on while the smallest network needs at most this share of the target, so that there is a choice,
ROOM = 0.6
# and while a trial within the budget still sees this share of the pictures it should.
LEAST_SHARE = 0.25


@dataclass(frozen=True)
class Plan:
    """What the calibration chose, for one study.

    speed: images a second that one worker trains a network near the limit at, estimated. trial_s: seconds of one trial.
    smallest_ms, middle_ms, largest_ms: measured latencies across the space. evaluator: where accuracies come from.
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

    def as_json(self) -> dict[str, Any]:
        """Plain values, as the study keeps them."""
        return asdict(self)

    def lines(self, settings: Settings) -> Iterator[str]:
        """What to tell the user, doubts included."""
        yield (
            f"space {settings.space} x{self.width:g}, {self.strides} strides at {self.resolution} px: "
            f"{self.smallest_ms:.3g} to {self.largest_ms:.3g} ms on this device, "
            f"a middling network {self.middle_ms:.3g} ms"
        )
        pace = f"about {self.trial_s:.0f} s at {self.speed:,.0f} a second"
        yield f"a trial trains on {self.proxy_images:,} pictures, {pace}"
        if self.largest_ms <= settings.target_ms:
            yield (
                f"warning: every network of the space meets {settings.target_ms:g} ms; "
                f"a lower --target-ms or a larger --width or --resolution makes the limit bind"
            )


def calibrate(
    settings: Settings,
    space: SearchSpace,
    data: ClassificationData,
    directory: Path,
    instrument: Instrument,
    pool: Pool,
) -> Plan:
    """Tries width and stride rules from cheap to costly; see `RUNGS`.

    Raises UsageError where even the smallest network misses the target.
    """
    core_seconds = settings.budget_s * SEARCH_SHARE * pool.workers
    wanted_images = settings.proxy_images or min(PROXY_IMAGES, len(data.train.labels_N))
    middle = space.decode([options // 2 for options in space.option_counts])
    plan = None
    for width, strides in _rungs(settings, data.resolution):
        at = _Rung(width, strides, data)
        latencies = at.latencies(space, instrument)
        if plan is not None and latencies["smallest_ms"] > ROOM * settings.target_ms:
            break
        # Training slows about as inference does, and what is trained is near the limit or below it.
        speed = _speed(at.fitted(middle), directory, pool) * max(1.0, latencies["middle_ms"] / settings.target_ms)
        affordable = int(core_seconds / WANTED_TRIALS * speed)
        if plan is not None and affordable < LEAST_SHARE * wanted_images:
            break
        images = wanted_images
        if settings.proxy_images is None:
            images = min(wanted_images, max(LEAST_IMAGES, affordable))
        plan = Plan(width, strides, data.resolution, images, speed, images / speed, **latencies)
    assert plan is not None, "there is always a first rung"
    if plan.smallest_ms > settings.target_ms:
        raise UsageError(
            f"target {settings.target_ms:g} ms is out of reach: the smallest network of space {space.name!r} "
            f"at width {plan.width:g} takes {plan.smallest_ms:.3g} ms on {settings.device!r}; "
            f"ask for {plan.smallest_ms * 1.2:.2g} ms or more, or lower --width or --resolution"
        )
    return plan


@dataclass(frozen=True)
class _Rung:
    """One width and stride rule to try."""

    width: float
    strides: str
    data: ClassificationData

    def fitted(self, network: Architecture) -> Architecture:
        data = self.data
        return adapted(
            scaled(network, self.width),
            resolution=data.resolution,
            channels=data.channels,
            classes=len(data.classes),
            strides=self.strides,
        )

    def latencies(self, space: SearchSpace, instrument: Instrument) -> dict[str, float]:
        networks = {
            "smallest_ms": self.fitted(space.decode(extreme(space, min))),
            "middle_ms": self.fitted(space.decode([options // 2 for options in space.option_counts])),
            "largest_ms": self.fitted(space.decode(extreme(space, max))),
        }
        found = measured(list(networks.values()), instrument)
        values = {}
        for name, network in networks.items():
            result = found[str(network)]
            if isinstance(result, TrialFailure):
                raise StudyError(f"the device cannot run {network}: {result}; nasfit doctor looks into it")
            values[name] = result.latency_ms
        return values


def extreme(space: SearchSpace, which: Callable[..., int]) -> Tokens:
    """The point with the fewest (`min`) or most (`max`) multiply-adds, one decision after the other."""
    tokens = [0] * len(space.option_counts)
    for place, options in enumerate(space.option_counts):
        tokens[place] = which(range(options), key=lambda option, at=place: _madds(space, tokens, at, option))
    return tuple(tokens)


def _madds(space: SearchSpace, tokens: list[int], place: int, option: int) -> int:
    return count(space.decode([*tokens[:place], option, *tokens[place + 1 :]])).madds


def _rungs(settings: Settings, resolution: int) -> list[tuple[float, str]]:
    """The rungs that agree with what the settings fix."""
    if settings.width and settings.strides:
        return [(settings.width, settings.strides)]
    if settings.width:
        return [(settings.width, strides) for strides in ("early", "late")]
    # From 128 px up all five halvings are kept, and both rules give the same networks.
    wanted = settings.strides or ("late" if resolution >= 128 else None)
    if wanted == "early":
        return [(width, "early") for width in sorted({width for width, _ in RUNGS})]
    return [rung for rung in RUNGS if wanted in (None, rung[1])]


def _speed(network: Architecture, directory: Path, pool: Pool) -> float:
    """The slowest worker's training speed while all of them train, images a second."""
    job = TrainingJob(str(network), str(directory), Recipe(images=0), seed=0)
    speeds = []
    for _, value in pool.run(training_speed, [job] * pool.workers, timeout_s=300):
        if isinstance(value, TrialFailure):
            raise StudyError(f"a trial training could not run: {value}")
        speeds.append(value)
    return float(min(speeds))
