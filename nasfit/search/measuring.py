"""Architectures -> latencies: build, export, check, and run on the device, interleaved."""

from __future__ import annotations

import math
from collections.abc import Callable, MutableMapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import torch
from torch import Tensor, nn

from nasfit.architecture import Architecture
from nasfit.devices import Description, Device
from nasfit.errors import DeviceError, TrialFailure, UsageError
from nasfit.export import RMS_TOLERANCE, export_model
from nasfit.latency import Candidate, Check, Measurement, Timing, measure, measure_shared, measurement_key
from nasfit.latency.timing import DEFAULT
from nasfit.models import build
from nasfit.search.patience import until_back

# Of devices that measure for one search: the longer time of one network by the shorter.
MOST_UNLIKE = 1.2
Measured = Measurement | TrialFailure
Cache = MutableMapping[str, dict[str, Any]]

# Logits of random weights lie close together, where 256 steps are coarse: a twentieth of them differ by more than a
# trained network may. An engine that computes something else is off by 1 or more.
UNTRAINED_TOLERANCE = {**RMS_TOLERANCE, "int8": 0.75}


@dataclass(frozen=True)
class Instrument:
    """A device, and what is run on it.

    precision: `fp32` or `int8`. pictures_BCHW: normalised float32 pictures, which int8 is calibrated on and outputs are
    checked with; None takes noise. timing: how closely to look. quiet: entered while the device is at work. others:
    devices that are alike and measure beside it; the cache keeps all under the first one's name.
    """

    device: Device
    precision: str = "fp32"
    pictures_BCHW: Tensor | None = None
    timing: Timing = DEFAULT
    quiet: Callable[[], AbstractContextManager[object]] = nullcontext
    others: tuple[Device, ...] = ()

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

    def key(self, network: Architecture) -> str:
        """Where a cache has its measurement on this device and engine."""
        return self.key_of(self.text(network))

    def key_of(self, text: str) -> str:
        """The same, from what the latency is kept under."""
        return measurement_key(text, self.description.device, self.description.engine)

    @cached_property
    def description(self) -> Description:
        """Device and engine, asked once; a device that is away is waited for."""
        return until_back(self.device, self.device.describe)

    def kept(self, networks: Sequence[Architecture], cache: Cache) -> dict[str, Measurement]:
        """The measurements that the cache has of these networks on this device and engine, by the networks' texts."""
        found = {}
        for network in networks:
            stored = cache.get(self.key(network))
            if stored is not None:
                with suppress(UsageError):  # one of another version is made anew
                    found[str(network)] = Measurement.from_dict(stored)
        return found


def check_of(module: nn.Module, picture_BCHW: Tensor, tolerance: float) -> Check:
    """What the module in evaluation mode gives for one picture."""
    with torch.no_grad():
        output_BK = module(picture_BCHW).numpy()
    return Check(picture_BCHW.numpy(), output_BK, tolerance)


def _measure(
    instrument: Instrument, candidates: dict[str, Candidate], cache: Cache | None, resources: bool
) -> dict[str, Measured]:
    timing = instrument.timing
    if not instrument.others:
        return measure(instrument.device, candidates, timing=timing, cache=cache, resources=resources)
    keys = {text: instrument.key_of(text) for text in candidates}
    devices = instrument.device, *instrument.others
    return measure_shared(devices, candidates, keys, timing=timing, cache=cache, resources=resources)


def likenesses(instrument: Instrument, network: Architecture) -> dict[str, float]:
    """How many times as long the network takes on each other device as on the first, by the devices' names.

    Raises DeviceError beyond `MOST_UNLIKE`, and where it does not run; one that is away is waited for.
    """
    if not instrument.others:
        return {}
    candidate = instrument.candidate(network)
    told = {}
    for device in (instrument.device, *instrument.others):
        with instrument.quiet():
            (result,) = until_back(device, partial(measure, device, {"a network": candidate})).values()
        if isinstance(result, TrialFailure):
            raise DeviceError(f"{device.name} does not run a network that the others are compared by: {result}")
        told[device.name] = result.latency_ms
    ratios = {device.name: told[device.name] / told[instrument.device.name] for device in instrument.others}
    for name, ratio in ratios.items():
        if abs(math.log(ratio)) > math.log(MOST_UNLIKE):
            raise DeviceError(
                f"{name} takes {ratio:.2f} times as long as {instrument.device.name} for the same network; search with "
                f"devices that are alike, or with one"
            )
    return ratios


def measured(
    networks: Sequence[Architecture],
    instrument: Instrument,
    *,
    cache: Cache | None = None,
    resources: bool = False,
) -> dict[str, Measured]:
    """Latency of each network by its text; one that cannot be exported or run has its TrialFailure instead.

    A device that goes away is waited for; what was measured before is taken from the cache, and the device is not asked
    where that is everything. resources: memory and energy too.
    """
    results: dict[str, Measured] = {} if cache is None else {**instrument.kept(networks, cache)}
    candidates: dict[str, Candidate] = {}
    names: dict[str, str] = {}
    for network in networks:
        if str(network) in results or str(network) in names.values():
            continue
        try:
            candidates[instrument.text(network)] = instrument.candidate(network)
            names[instrument.text(network)] = str(network)
        except TrialFailure as failure:
            results[str(network)] = failure
    if candidates:
        with instrument.quiet():
            latencies = until_back(
                instrument.device,
                partial(_measure, instrument, candidates, cache, resources),
            )
        results |= {names[text]: latency for text, latency in latencies.items()}
    return {str(network): results[str(network)] for network in networks}
