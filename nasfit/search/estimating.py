"""Networks that need not be measured, since a predictor is sure that they are too slow."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from nasfit.architecture import Architecture
from nasfit.errors import UsageError
from nasfit.latency.predictor import Estimate, Predictor, worth_measuring
from nasfit.latency.predictor_file import read_predictor
from nasfit.search.measuring import Instrument
from nasfit.search.setup import Setup


def predictor_for(instrument: Instrument, path: Path) -> Predictor:
    """The predictor of this device, engine and precision. Raises UsageError for another's."""
    predictor, description = read_predictor(path), instrument.device.describe()
    here = description.device, f"{description.engine}, {instrument.precision}"
    if (predictor.device, predictor.engine) != here:
        raise UsageError(
            f"{path} predicts for {predictor.device}, {predictor.engine}; this search measures on {here[0]}, "
            f"{here[1]}. Build one for it: nasfit measure --build-predictor"
        )
    return predictor


def surely_slower(predictor: Predictor, networks: Iterable[Architecture], limit_ms: float) -> dict[str, Estimate]:
    """Estimates, by text, of the networks whose whole interval lies above the limit.

    Only these: whatever may meet the limit is measured, and so is what the predictor does not know.
    """
    slower = {}
    for network in networks:
        try:
            (estimate,) = predictor.predict([network])
        except UsageError:
            continue
        if not worth_measuring(estimate, limit_ms) and estimate.low_ms > limit_ms:
            slower[str(network)] = estimate
    return slower


def surely_pruned(setup: Setup, networks: Iterable[Architecture]) -> dict[str, Estimate]:
    """Of a study with a predictor that prunes: the estimates, by text, of what need not be measured."""
    settings = setup.settings
    if setup.predictor is None or not settings.prune:
        return {}
    return surely_slower(setup.predictor, networks, settings.prune * settings.target_ms)
