"""Trained weights -> the files that ship: exported, checked on real pictures, measured together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from nasfit.architecture import Architecture, count
from nasfit.errors import DeviceError, TrialFailure
from nasfit.export import RMS_TOLERANCE
from nasfit.latency import THOROUGH, Candidate, Measurement, measure
from nasfit.models import Network, build
from nasfit.search.cards import card_file, card_name, contender_card
from nasfit.search.documents import FINALS, LATENCIES, PARTS
from nasfit.search.entrants import Entrant
from nasfit.search.evaluate import over_bounds
from nasfit.search.measuring import check_of
from nasfit.search.patience import until_back
from nasfit.search.result import Contender
from nasfit.search.setup import Setup
from nasfit.search.timing_parts import part_times
from nasfit.training import shipped_file

# Read by every engine and converter, so always handed over beside the file that was timed.
EXCHANGE_FORMAT = "onnx"


@dataclass(frozen=True)
class Delivered:
    """The exported files of a network: names in the study directory, the timed one's bytes and parity.

    onnx: None where the timed file is that already.
    """

    file: str
    onnx: str | None
    candidate: Candidate
    parity: float
    onnx_parity: float | None = None


@dataclass(frozen=True)
class Comparison:
    """The networks that got through, why others did not, and the conditions of the measurement."""

    contenders: tuple[Contender, ...]
    failures: dict[str, str]
    conditions: dict[str, Any]


def compared(setup: Setup, entrants: Sequence[Entrant]) -> Comparison:
    """Exports what was trained, checks each file against its module, and measures all files in one session.

    A network whose training, file or measurement failed is left out, with its reason.
    """
    finals: dict[str, Any] = setup.study.document(FINALS) or {}
    failures: dict[str, str] = {name: final["failed"] for name, final in finals.items() if "failed" in final}
    files: dict[str, Delivered] = {}
    for entrant in entrants:
        if entrant.name not in failures:
            try:
                files[entrant.name] = delivered(setup, entrant.architecture, entrant.weights)
            except TrialFailure as failure:
                failures[entrant.name] = str(failure)
    instrument = setup.instrument
    candidates = {name: file.candidate for name, file in files.items()}
    latencies = until_back(
        instrument.device,
        lambda: measure(instrument.device, candidates, timing=THOROUGH, resources=True),
    )
    measured = {name: latency for name, latency in latencies.items() if isinstance(latency, Measurement)}
    setup.study.put_document(LATENCIES, {name: latency.to_dict() for name, latency in measured.items()})
    contenders, conditions = [], {}
    for entrant in entrants:
        latency = latencies.get(entrant.name)
        if isinstance(latency, Measurement):
            contenders.append(_contender(setup, entrant, finals[entrant.name], files[entrant.name], latency))
            conditions = dict(latency.conditions)
            _write_card(setup, contenders[-1], files[entrant.name], conditions)
        elif latency is not None:
            failures[entrant.name] = str(latency)
    return Comparison(tuple(contenders), failures, conditions)


def _contender(
    setup: Setup, entrant: Entrant, final: dict[str, Any], file: Delivered, latency: Measurement
) -> Contender:
    counts = count(Architecture.parse(entrant.architecture))
    return Contender(
        name=entrant.name,
        origin=entrant.origin,
        architecture=entrant.architecture,
        accuracy=final["accuracy"],
        latency_ms=latency.latency_ms,
        low_ms=latency.low_ms,
        high_ms=latency.high_ms,
        parameters=counts.parameters,
        madds=counts.madds,
        parity=file.parity,
        file=file.file,
        weights=entrant.weights,
        size_bytes=latency.size_bytes,
        onnx=file.onnx,
        peak_memory_mb=latency.peak_memory_mb,
        fp32_accuracy=final.get("fp32_accuracy"),
        inherited=final.get("inherited", 0.0),
        over_bounds=over_bounds(latency.size_bytes, latency.peak_memory_mb, setup.settings),
        warnings=tuple(latency.warnings),
    )


def _write_card(setup: Setup, contender: Contender, delivered: Delivered, conditions: dict[str, Any]) -> None:
    model_format, precision = setup.instrument.device.model_format, setup.instrument.precision
    files = [card_file(delivered.file, model_format, precision, contender.size_bytes, delivered.parity)]
    if delivered.onnx is not None and delivered.onnx_parity is not None:
        size_bytes = (setup.study.path / delivered.onnx).stat().st_size
        files.append(card_file(delivered.onnx, EXCHANGE_FORMAT, "fp32", size_bytes, delivered.onnx_parity))
    final_images = int(setup.study.document("final_images") or 0)
    card = contender_card(contender, setup.data, final_images, tuple(files), conditions)
    setup.study.write_file(card_name(contender.weights), card.encode())


def keep_part_times(setup: Setup, contender: Contender) -> None:
    """Stores where the network's time goes, or the reason why it cannot be told: that costs no search its end."""
    instrument = setup.instrument
    try:
        network = _trained(setup, contender.architecture, contender.weights)
        times = until_back(
            instrument.device,
            lambda: part_times(
                network, instrument.device, precision=instrument.precision, pictures_BCHW=instrument.pictures_BCHW
            ),
        )
    except (TrialFailure, DeviceError) as error:
        setup.study.put_document(PARTS, {"failed": str(error)})
    else:
        setup.study.put_document(PARTS, times.as_json())


def delivered(setup: Setup, architecture: str, weights: str) -> Delivered:
    """Builds the network, loads its weights, writes its files beside them. Raises TrialFailure if they differ."""
    module = _trained(setup, architecture, weights)
    precision, own_format = setup.instrument.precision, setup.instrument.device.model_format
    content, parity = _exported(setup, module, architecture, own_format, precision)
    name = _written(setup, weights, own_format, precision, content)
    onnx, onnx_parity = None, None
    if (own_format, precision) != (EXCHANGE_FORMAT, "fp32"):
        exchanged, onnx_parity = _exported(setup, module, architecture, EXCHANGE_FORMAT, "fp32")
        onnx = _written(setup, weights, EXCHANGE_FORMAT, "fp32", exchanged)
    pictures_BCHW = setup.instrument.pictures_BCHW
    assert pictures_BCHW is not None, "a search has pictures"
    check = check_of(module, pictures_BCHW[:1], RMS_TOLERANCE[precision])
    return Delivered(name, onnx, Candidate(content, check), parity, onnx_parity)


def _trained(setup: Setup, architecture: str, weights: str) -> Network:
    """In evaluation mode. Raises TrialFailure for weights that do not read."""
    module = build(Architecture.parse(architecture))
    try:
        module.load_state_dict(load_file(setup.study.path / weights))
    except (OSError, SafetensorError, RuntimeError) as error:
        raise TrialFailure(f"weights {weights} do not read: {str(error).splitlines()[0]}") from error
    return module.eval()


def _exported(
    setup: Setup, module: nn.Module, architecture: str, model_format: str, precision: str
) -> tuple[bytes, float]:
    """The file and its parity with the module on real pictures."""
    pictures_BCHW = setup.instrument.pictures_BCHW
    assert pictures_BCHW is not None, "a search has pictures"
    return shipped_file(module, architecture, setup.data, pictures_BCHW, model_format=model_format, precision=precision)


def _written(setup: Setup, weights: str, model_format: str, precision: str, content: bytes) -> str:
    ending = f".{model_format}" if precision == "fp32" else f".{precision}.{model_format}"
    name = str(Path(weights).with_suffix(ending))
    setup.study.write_file(name, content)
    return name
