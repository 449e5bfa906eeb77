"""`nasfit measure NETWORK...`: latencies of named networks and files, interleaved on a device."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch

from nasfit.cli.measurement_text import measurement_lines
from nasfit.cli.networks import Fitting, Named, named_networks
from nasfit.devices import Description, Device, open_device
from nasfit.devices.engines import require_precision
from nasfit.errors import TrialFailure, UsageError
from nasfit.latency import THOROUGH, Candidate, Measurement, Timing, measure
from nasfit.search.measuring import Instrument


@dataclass(frozen=True)
class Place:
    """Where and how networks run; the arguments of `open_device`."""

    device: str = "local"
    engine: str = "litert"
    core: int | None = None
    threads: int = 1
    realtime: bool = True

    def opened(self) -> Device:
        """The device. Raises UsageError, UnknownNameError."""
        return open_device(
            self.device, engine=self.engine, core=self.core, realtime=self.realtime, threads=self.threads
        )


def run(texts: Sequence[str], place: Place, fitting: Fitting, *, quick: bool, as_json: bool) -> None:
    """Prints the latencies; exit code 2 where no network could be measured.

    Raises UsageError, UnknownNameError, DeviceError, DeviceGone before anything is measured.
    """
    if not texts:
        raise UsageError("no network is named; try: nasfit measure mnasnet-a1")
    require_precision(place.engine, fitting.precision)
    named = named_networks(texts, fitting, place.engine)
    device = place.opened()
    description = device.describe()
    timing = Timing() if quick else THOROUGH
    what = f"{len(named)} network{'s' * (len(named) > 1)} on {description.device}"
    print(f"measuring {what}, {'seconds' if quick else 'half a minute or more'} ...", file=sys.stderr)
    results = measured_by_text(named, Instrument(device, fitting.precision), timing)
    if as_json:
        print(json.dumps(_document(results, description), indent=1))
    else:
        for line in measurement_lines({network.label: results[network.text] for network in named}, description):
            print(line)
        for network in named:
            if network.label != network.text and network.content is None and network.label.startswith("network "):
                print(f"{network.label}: {network.text}")
    if not any(isinstance(result, Measurement) for result in results.values()):
        sys.exit(2)


def measured_by_text(
    named: Sequence[Named], instrument: Instrument, timing: Timing
) -> dict[str, Measurement | TrialFailure]:
    """Latency, memory and energy of each network by its text, or why there is none."""
    torch.manual_seed(0)
    candidates: dict[str, Candidate] = {}
    results: dict[str, Measurement | TrialFailure] = {}
    for network in named:
        try:
            if network.architecture is not None:
                candidates[network.text] = instrument.candidate(network.architecture)
            else:
                candidates[network.text] = Candidate(network.content or b"")
        except TrialFailure as failure:
            results[network.text] = failure
    results |= measure(instrument.device, candidates, timing=timing, resources=True)
    return {network.text: results[network.text] for network in named}


def _document(results: Mapping[str, Measurement | TrialFailure], description: Description) -> dict[str, Any]:
    networks = {
        text: result.to_dict() if isinstance(result, Measurement) else {"failed": str(result)}
        for text, result in results.items()
    }
    document: dict[str, Any] = {"networks": networks, "device": description.device, "conditions": asdict(description)}
    alone = next(iter(results.values())) if len(results) == 1 else None
    if isinstance(alone, Measurement):
        document["latency_ms"] = alone.latency_ms
    return document
