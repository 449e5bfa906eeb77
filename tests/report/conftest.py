"""Stories made by hand: small, exact, and as awkward as users' names can be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from nasfit.architecture import Architecture, adapted, count, published
from nasfit.report import Story
from nasfit.search import Contender, Plan, Result, Settings
from nasfit.search.random_share import random_share
from nasfit.study import Trial, TrialState

TARGET_MS = 0.5


def network(width: float) -> str:
    return str(adapted(published("mobilenet-v2", width), resolution=32, channels=3, classes=10, strides="early"))


def contender(name: str, accuracy: float, latency_ms: float, **more: Any) -> Contender:
    origin = "baseline" if name.startswith("mobilenet") else "found"
    text = network(0.35)
    counts = count(Architecture.parse(text))
    values: dict[str, Any] = {
        "name": name,
        "origin": origin,
        "architecture": text,
        "accuracy": accuracy,
        "latency_ms": latency_ms,
        "low_ms": 0.998 * latency_ms,
        "high_ms": 1.002 * latency_ms,
        "parameters": counts.parameters,
        "madds": counts.madds,
        "parity": 3e-7,
        "file": f"models/{name}.tflite",
        "size_bytes": 1_000_000,
        "weights": f"models/{name}.safetensors",
    }
    return Contender(**values | more)


def trial(number: int, accuracy: float | None, latency_ms: float | None, **more: Any) -> Trial:
    values: dict[str, Any] = {
        "number": number,
        "tokens": (number,),
        "architecture": network(0.25 + number / 100),
        "seed": 0,
        "state": TrialState.COMPLETE,
        "accuracy": accuracy,
        "latency_ms": latency_ms,
        "reward": accuracy,
        "seconds": {"measure": 0.5, "train": 4.0},
        "origin": "random" if number < 6 else "strategy",
    }
    return Trial(**values | more)


TRIALS = (
    *(trial(number, 0.5 + number / 100, 0.2 + number / 50) for number in range(6)),
    trial(6, 0.7, 0.45),
    trial(7, 0.8, 0.54),
    trial(8, None, 0.9, state=TrialState.PRUNED, reward=0.1, reason="0.9 ms is more than 1.1 times the target"),
    trial(9, None, None, state=TrialState.FAILED, reason="loss is <nan> & more"),
    trial(10, 0.7, 0.45, architecture=network(0.31), duplicate_of=6),
    trial(11, None, None, state=TrialState.RUNNING),
)


def result(*contenders: Contender, best: int | None = 0) -> Result:
    conditions = {"device": "a <board>", "core": None, "realtime": True, "clock_step_ms": 0.00012}
    return Result(contenders, best, 48000, random_share(list(TRIALS)), {}, {"nasfit": "1.2.3"}, conditions)


@pytest.fixture
def baselines() -> tuple[Contender, ...]:
    return (
        contender("mobilenet-v2 x0.35", 0.80, 0.40),
        contender("mobilenet-v2 x0.5", 0.86, 0.60),
        contender("mobilenet-v2 x1", 0.90, 1.20),
    )


@pytest.fixture
def story() -> Story:
    """An interrupted search."""
    return Story(
        title="photos-0.5ms",
        settings=Settings(data="./my <b>photos</b> & 'more'", target_ms=TARGET_MS),
        plan=Plan(0.35, "early", 32, 2000, 1300.0, 1.5, 0.1, 0.5, 1.3),
        trials=TRIALS,
        promotions={TRIALS[6].architecture: 0.75},
        seconds={"calibration": 20.0, "search": 120.0},
        notes=("1,000 pictures of <script>",),
        test_pictures=1000,
    )


@pytest.fixture
def finished(story: Story, baselines: tuple[Contender, ...]) -> Callable[..., Story]:
    """finished(accuracy, latency_ms, against=baselines, best=0, **of_the_contender): a story with its result."""

    def make(
        accuracy: float,
        latency_ms: float,
        against: tuple[Contender, ...] = baselines,
        best: int | None = 0,
        **more: Any,
    ) -> Story:
        own = replace(contender("found-1", accuracy, latency_ms), **more)
        return replace(story, result=result(own, *against, best=best))

    return make


@pytest.fixture
def make_contender() -> Callable[..., Contender]:
    return contender
