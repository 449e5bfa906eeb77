"""Architectures -> latencies: build, export, and run on the device, interleaved."""

from __future__ import annotations

from collections.abc import MutableMapping, Sequence
from typing import Any

from nasfit.architecture import Architecture
from nasfit.devices import Device
from nasfit.errors import TrialFailure
from nasfit.export import to_onnx
from nasfit.latency import Measurement, measure
from nasfit.models import build

Measured = Measurement | TrialFailure


def measured(
    networks: Sequence[Architecture], device: Device, cache: MutableMapping[str, dict[str, Any]] | None
) -> dict[str, Measured]:
    """Latency of each network by its text; one that cannot be exported or run has its TrialFailure instead.

    Weights are random: they do not change how long an inference takes.
    """
    files: dict[str, bytes] = {}
    failed: dict[str, Measured] = {}
    for network in networks:
        shape = (network.channels, network.resolution, network.resolution)
        try:
            files[str(network)] = to_onnx(build(network), shape)
        except TrialFailure as failure:
            failed[str(network)] = failure
    return failed | dict(measure(device, files, cache=cache))
