"""Searches without the calibration: a plan made by hand, one pool for all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nasfit.devices import open_device
from nasfit.latency import Timing
from nasfit.search import Plan, Settings
from nasfit.search.measuring import Instrument
from nasfit.search.setup import Setup
from nasfit.space import named_space
from nasfit.study import Study
from nasfit.tasks import ClassificationData, load
from nasfit.training import calibration_pictures
from nasfit.workers import Pool

PLAN = Plan(
    width=0.35,
    strides="early",
    resolution=24,
    proxy_images=64,
    speed=600.0,
    trial_s=0.1,
    smallest_ms=0.1,
    middle_ms=0.3,
    largest_ms=1.0,
)
# Most of what is tested here does not depend on who proposes.
QUICK = {"strategy": "evolution"}
Opener = Callable[..., Setup]
# Rounds close together: what is tested here does not depend on how well a latency repeats.
BRIEF = Timing(min_rounds=11, max_rounds=11, span_s=0.0)


@pytest.fixture(autouse=True)
def brief_finale(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nasfit.search.delivery.THOROUGH", BRIEF)
    monkeypatch.setattr("nasfit.search.detector_run.THOROUGH", BRIEF)


@pytest.fixture(scope="session")
def pool() -> Iterator[Pool]:
    with Pool(2) as pool:
        yield pool


@pytest.fixture(scope="session")
def data(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> ClassificationData:
    return load(pictures, cache=tmp_path_factory.mktemp("decoded"))


@pytest.fixture
def opened(pool: Pool, data: ClassificationData, tmp_path: Path) -> Iterator[Opener]:
    """opened(proxy_images=64, **settings): a new study, or the one of this test again."""
    with ExitStack() as stack:

        def make(proxy_images: int = 64, **changes: Any) -> Setup:
            values: dict[str, Any] = {"data": "colours", "target_ms": 1000.0, "budget_s": 60.0, **QUICK, **changes}
            settings = Settings(**values)
            study = Study.open_or_create(tmp_path / "study", settings.as_json(), may_change=list(settings.as_json()))
            stack.enter_context(study)
            plan = replace(PLAN, proxy_images=proxy_images)
            space = named_space(settings.space)
            device = open_device("local", engine=settings.engine)
            instrument = Instrument(device, settings.precision, calibration_pictures(data), BRIEF)
            assert data.directory is not None
            return Setup(settings, plan, space, data, data.directory, instrument, pool, study)

        yield make
