"""A network cut after each of its parts, and all cuts timed beside the whole: which part takes how long on the device.

Works on every device and engine, since a cut is a network like any other. The engine's own profile would be finer, but
few engines have one, and it slows down what it measures.
"""

from __future__ import annotations

from torch import Tensor, nn

from nasfit.devices import Device
from nasfit.errors import TrialFailure
from nasfit.export import export_model
from nasfit.latency import Measurement, Timing, measure
from nasfit.latency.part_times import PartTimes
from nasfit.models import Network

# A narrow interval, since differences of near latencies are taken; one process, so that a search waits a few seconds.
CLOSE = Timing(precision=0.005, min_rounds=20, max_rounds=30, span_s=1.0, network_s=1.0)


def cuts(network: Network) -> dict[str, nn.Module]:
    """The network up to and with each part: `stem`, `block 1`, ..., and `head`, which is the whole.

    All but the whole hand out the map that their last part makes.
    """
    found: dict[str, nn.Module] = {"stem": network.stem}
    taken = 0
    for number, block in enumerate(network.architecture.blocks, start=1):
        taken += block.layers
        found[f"block {number}"] = nn.Sequential(network.stem, *network.layers[:taken])
    return {**found, "head": network}


def part_times(
    network: Network,
    device: Device,
    *,
    precision: str = "fp32",
    pictures_BCHW: Tensor | None = None,
    timing: Timing = CLOSE,
) -> PartTimes:
    """Exports the cuts and times them in turn, in one session. pictures_BCHW: that int8 is calibrated on.

    Raises TrialFailure where one of them cannot be exported or run, DeviceError where the device does not answer.
    """
    shape = (network.architecture.channels, network.architecture.resolution, network.architecture.resolution)
    files = {
        name: export_model(
            cut, shape, model_format=device.model_format, precision=precision, calibration_BCHW=pictures_BCHW
        )
        for name, cut in cuts(network.eval()).items()
    }
    triples = []
    for name, found in measure(device, files, timing=timing).items():
        if not isinstance(found, Measurement):
            raise TrialFailure(f"the network cut after {name} does not run: {found}")
        triples.append((found.latency_ms, found.low_ms, found.high_ms))
    return PartTimes.of(str(network.architecture), list(files), triples)
