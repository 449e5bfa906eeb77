"""Architectures -> latencies: build, export, check, and run on the device, interleaved."""

from __future__ import annotations

from collections.abc import MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from nasfit.architecture import Architecture
from nasfit.devices import Device
from nasfit.errors import TrialFailure
from nasfit.export import RMS_TOLERANCE, export_model
from nasfit.latency import Candidate, Check, Measurement, Timing, measure
from nasfit.latency.timing import DEFAULT
from nasfit.models import build
from nasfit.search.patience import until_back

Measured = Measurement | TrialFailure

# Logits of random weights lie close together, where 256 steps are coarse: a twentieth of them differ by more than a
# trained network may. An engine that computes something else is off by 1 or more.
UNTRAINED_TOLERANCE = {**RMS_TOLERANCE, "int8": 0.75}


@dataclass(frozen=True)
class Instrument:
    """A device, and what is run on it.

    precision: `fp32` or `int8`. pictures_BCHW: normalised float32 pictures, which int8 is calibrated on and outputs are
    checked with; None takes noise. timing: how closely to look.
    """

    device: Device
    precision: str = "fp32"
    pictures_BCHW: Tensor | None = None
    timing: Timing = DEFAULT

    def candidate(self, network: Architecture) -> Candidate:
        """The network's file with random weights, which do not change how long an inference takes."""
        module = build(network).eval()
        pictures_BCHW = self.pictures_BCHW
        if pictures_BCHW is None:
            pictures_BCHW = torch.randn(4, network.channels, network.resolution, network.resolution)
        content = export_model(
            module,
            (network.channels, network.resolution, network.resolution),
            model_format=self.device.model_format,
            precision=self.precision,
            calibration_BCHW=pictures_BCHW,
        )
        return Candidate(content, check_of(module, pictures_BCHW[:1], UNTRAINED_TOLERANCE[self.precision]))

    def text(self, network: Architecture) -> str:
        """What its latency is kept under: equal texts, equal files up to the weights."""
        return str(network) if self.precision == "fp32" else f"{network} {self.precision}"


def check_of(module: nn.Module, picture_BCHW: Tensor, tolerance: float) -> Check:
    """What the module in evaluation mode gives for one picture."""
    with torch.no_grad():
        output_BK = module(picture_BCHW).numpy()
    return Check(picture_BCHW.numpy(), output_BK, tolerance)


def measured(
    networks: Sequence[Architecture],
    instrument: Instrument,
    *,
    cache: MutableMapping[str, dict[str, Any]] | None = None,
    resources: bool = False,
) -> dict[str, Measured]:
    """Latency of each network by its text; one that cannot be exported or run has its TrialFailure instead.

    A device that goes away is waited for; what was measured before is in the cache. resources: memory and energy too.
    """
    candidates: dict[str, Candidate] = {}
    results: dict[str, Measured] = {}
    for network in networks:
        try:
            candidates[instrument.text(network)] = instrument.candidate(network)
        except TrialFailure as failure:
            results[instrument.text(network)] = failure
    results |= until_back(
        instrument.device,
        lambda: measure(instrument.device, candidates, timing=instrument.timing, cache=cache, resources=resources),
    )
    return {str(network): results[instrument.text(network)] for network in networks}
