"""The start-up calibration: how wide a space and how long a trial fit budget, target and machine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from nasfit.architecture import Architecture, adapted, count
from nasfit.errors import StudyError, TrialFailure, UsageError
from nasfit.search.measuring import Instrument, measured
from nasfit.search.pacing import chosen_precision, slowest_speed
from nasfit.search.plan import LEAST_IMAGES, MOST_EPOCHS, PROXY_IMAGES, SEARCH_SHARE, WANTED_TRIALS, Plan
from nasfit.search.settings import Settings
from nasfit.space import SearchSpace, Tokens
from nasfit.tasks import ClassificationData
from nasfit.training import Recipe, TrainingJob
from nasfit.workers import Pool

# From fast to slow networks. Late halvings are worth more accuracy at equal latency than wide early ones.
RUNGS = ((0.35, "early"), (0.35, "late"), (0.5, "late"), (0.75, "late"), (1.0, "late"))
# Stepping up goes on while enough of the space meets the target (see `_roomy`), and while a trial within the budget
# still sees this share of the pictures it should.
LEAST_SHARE = 0.25


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
    wanted_images = settings.proxy_images or _wanted_images(len(data.train.labels_N))
    middle = [options // 2 for options in space.option_counts]
    plan = None
    for width, strides in _rungs(settings, data.resolution):
        at = _Rung(width, strides, data, space)
        latencies = at.latencies(instrument)
        if plan is not None and not _roomy(latencies, settings.target_ms):
            break
        # Training slows about as inference does, and what is trained is near the limit or below it.
        slowed = max(1.0, latencies["middle_ms"] / settings.target_ms)
        job = TrainingJob(str(at.fitted(middle)), str(directory), Recipe(images=0), seed=0)
        speed = slowest_speed(job, pool) * slowed
        affordable = int(core_seconds / WANTED_TRIALS * speed)
        if plan is not None and affordable < LEAST_SHARE * wanted_images:
            break
        images = _images(settings, wanted_images, affordable)
        plan = Plan(
            width,
            strides,
            data.resolution,
            images,
            speed,
            images / speed,
            smallest_ms=latencies["smallest_ms"],
            middle_ms=latencies["middle_ms"],
            largest_ms=latencies["largest_ms"],
        )
    assert plan is not None, "there is always a first rung"
    if plan.smallest_ms > settings.target_ms:
        raise UsageError(
            f"target {settings.target_ms:g} ms is out of reach: the smallest network of space {space.name!r} "
            f"at width {plan.width:g} takes {plan.smallest_ms:.3g} ms on {settings.device!r}; "
            f"ask for {plan.smallest_ms * 1.2:.2g} ms or more, or lower --width or --resolution"
        )
    rung = _Rung(plan.width, plan.strides, data, space)
    precision, gain = chosen_precision(settings, rung.fitted(middle), directory, pool)
    if precision == "bf16" and gain is not None:
        speed = plan.speed * gain
        images = _images(settings, wanted_images, int(core_seconds / WANTED_TRIALS * speed))
        plan = replace(plan, speed=speed, proxy_images=images, trial_s=images / speed)
    return replace(plan, train_precision=precision, precision_gain=gain, progressive=settings.progressive)


def _roomy(latencies: dict[str, float], target_ms: float) -> bool:
    """Whether enough of a space meets the target: it is at least the geometric mean of the smallest and the middle."""
    return latencies["smallest_ms"] * latencies["middle_ms"] <= target_ms**2


def _wanted_images(pictures: int) -> int:
    """One pass, as fresh pictures teach more than repeated ones; of few pictures as many passes as a trial has to see.

    A single pass of some hundred pictures is some steps, after which all networks are at chance.
    """
    return min(PROXY_IMAGES, max(pictures, min(LEAST_IMAGES, MOST_EPOCHS * pictures)))


def _images(settings: Settings, wanted: int, affordable: int) -> int:
    """Images that a trial trains on: those wanted or, unless they were asked for, those affordable."""
    return wanted if settings.proxy_images is not None else min(wanted, max(LEAST_IMAGES, affordable))


@dataclass(frozen=True)
class _Rung:
    """One width and stride rule to try."""

    width: float
    strides: str
    data: ClassificationData
    space: SearchSpace

    def fitted(self, tokens: Sequence[int]) -> Architecture:
        data = self.data
        return adapted(
            self.space.decode(tokens, self.width),
            resolution=data.resolution,
            channels=data.channels,
            classes=len(data.classes),
            strides=self.strides,
        )

    def latencies(self, instrument: Instrument) -> dict[str, float]:
        networks = {
            "smallest_ms": self.fitted(extreme(self.space, min)),
            "middle_ms": self.fitted([options // 2 for options in self.space.option_counts]),
            "largest_ms": self.fitted(extreme(self.space, max)),
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
