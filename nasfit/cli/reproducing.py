"""`nasfit reproduce TABLE`: a table of the paper beside what nasfit counts, measures and tests of the same networks."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from nasfit.architecture import Architecture, Counts, count, count_detector, detector_on, fitted, published
from nasfit.cli.measuring import Place, measured_by_text
from nasfit.cli.networks import Named
from nasfit.cli.reproduced_text import grid_lines, study_lines, table_lines
from nasfit.cli.tested_pictures import tested_pictures
from nasfit.devices import Description
from nasfit.errors import TrialFailure, UnknownNameError, UsageError
from nasfit.latency import THOROUGH, Measurement, Timing, measure
from nasfit.models import created
from nasfit.report.paper_tables import ABLATION, COCO, IMAGENET, SCALED_SIDES, SCALED_WIDTHS, STUDIES, STUDY, PaperRow
from nasfit.search.detector_search import detector_candidate
from nasfit.search.measuring import Instrument
from nasfit.training import accuracy

_TABLES = {"imagenet": IMAGENET, "coco": COCO, "ablation": ABLATION}
TABLES = (*_TABLES, "scaling")
COCO_CLASSES = 90
_RESOLUTION = 224


@dataclass(frozen=True)
class Reproduced:
    """A row of the paper with what nasfit has of it: None where that is nothing.

    accuracy: top-1, 0 to 1, of `weights` on the test pictures of `data`.
    """

    row: PaperRow
    counts: Counts | None = None
    latency: Measurement | TrialFailure | None = None
    accuracy: float | None = None

    def as_json(self) -> dict[str, Any]:
        """Plain values; what the paper says below `published`."""
        row = asdict(self.row)
        name, why = row.pop("name"), row.pop("why")
        return {
            "name": name,
            "network": self.row.key or (None if self.row.architecture is None else str(self.row.architecture)),
            "published": {key: row[key] for key in ("accuracy", "pixel_ms", "parameters_m", "madds_m")},
            "parameters": None if self.counts is None else self.counts.parameters,
            "madds": None if self.counts is None else self.counts.madds,
            "latency": _plain(self.latency),
            "accuracy": self.accuracy,
            "why": why or None,
        }


@dataclass(frozen=True)
class Asked:
    """place: where to measure; None: nowhere. weights: `NAME=FILE` each, tested on the pictures of `data`."""

    table: str
    place: Place | None
    quick: bool = False
    data: str | None = None
    weights: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.table not in TABLES:
            raise UnknownNameError("table", self.table, TABLES)
        if (self.data is None) != (not self.weights):
            raise UsageError("accuracy needs both pictures and weights; give --data DATA and --weights NAME=FILE")
        if self.weights and self.table not in ("imagenet", "ablation"):
            raise UsageError(f"--weights are of classification networks, and table {self.table!r} tests none")


def run(asked: Asked, *, as_json: bool) -> None:
    """Prints the table. Raises UsageError, UnknownNameError, WeightsError, DataError, DeviceError."""
    if asked.table == "scaling":
        _run_scaling(asked, as_json=as_json)
        return
    files = _files(asked)
    rows = [Reproduced(row, _counts(asked.table, row)) for row in _TABLES[asked.table]]
    rows = _tested(rows, files, asked.data)
    description = None
    if asked.place is not None:
        networks = {str(one): one for one in (row.architecture for row in _TABLES[asked.table]) if one is not None}
        measured = _measured_detectors if asked.table == "coco" else _measured
        latencies, description = measured(networks, asked.place, asked.quick)
        rows = [replace(row, latency=latencies.get(str(row.row.architecture))) for row in rows]
    if as_json:
        document: dict[str, Any] = {"table": asked.table, "rows": [row.as_json() for row in rows]}
        document |= (
            {"studies": {what: f"{STUDY} {more}" for what, more in STUDIES.items()}}
            if asked.table == "ablation"
            else {}
        )
        print(json.dumps({**document, **_conditions(description)}, indent=1))
        return
    for line in table_lines(asked.table, rows, description):
        print(line)
    if asked.table == "ablation":
        for line in study_lines():
            print(line)


def _run_scaling(asked: Asked, *, as_json: bool) -> None:
    networks = {
        (width, side): fitted(published("mnasnet-a1", width), resolution=side, channels=3, classes=1000)
        for width in SCALED_WIDTHS
        for side in SCALED_SIDES
    }
    latencies: Mapping[str, Measurement | TrialFailure] = {}
    description = None
    if asked.place is not None:
        latencies, description = _measured({str(one): one for one in networks.values()}, asked.place, asked.quick)
    cells = {place: (count(network), latencies.get(str(network))) for place, network in networks.items()}
    if as_json:
        rows = [
            {
                "network": "mnasnet-a1",
                "width": width,
                "resolution": side,
                "parameters": counts.parameters,
                "madds": counts.madds,
                "latency": _plain(latency),
            }
            for (width, side), (counts, latency) in cells.items()
        ]
        print(json.dumps({"table": "scaling", "rows": rows, **_conditions(description)}, indent=1))
        return
    for line in grid_lines(cells, description):
        print(line)


def _counts(table: str, row: PaperRow) -> Counts | None:
    network = row.architecture
    if network is None:
        return None
    return count_detector(detector_on(network, classes=COCO_CLASSES)) if table == "coco" else count(network)


def _files(asked: Asked) -> dict[str, Path]:
    known = [row.key for row in _TABLES[asked.table] if row.key is not None]
    found: dict[str, Path] = {}
    for text in asked.weights:
        name, equals, file = text.partition("=")
        if not equals or not file:
            raise UsageError(f"--weights {text!r} names no file; write it as mnasnet-a1=FILE")
        if name not in known:
            raise UnknownNameError(f"network of table {asked.table}", name, known)
        found[name] = Path(file)
    return found


def _tested(rows: Sequence[Reproduced], files: Mapping[str, Path], source: str | None) -> list[Reproduced]:
    if not files or source is None:
        return list(rows)
    # Weights that do not read are told before pictures are decoded for hours.
    made = {
        row.row.key: created(str(row.row.network), width=row.row.width, weights=files[str(row.row.key)])
        for row in rows
        if row.row.key in files
    }
    crops = {one.crop for one in made.values()}
    print(f"decoding {source} at {_RESOLUTION} px ...", file=sys.stderr)
    data_of = {crop: tested_pictures(source, _RESOLUTION, crop) for crop in crops}
    data = next(iter(data_of.values()))
    classes = next(iter(made.values())).network.architecture.classes
    if len(data.classes) != classes:
        raise UsageError(
            f"{source!r} has {len(data.classes)} classes, the networks {classes}; give ImageNet's pictures"
        )
    tested: dict[str | None, float] = {}
    for key, one in made.items():
        print(f"testing {key} on {len(data.test):,} pictures ...", file=sys.stderr)
        tested[key] = accuracy(one.network, data_of[one.crop].test, mean=one.mean, std=one.std)
    return [replace(row, accuracy=tested.get(row.row.key)) for row in rows]


def _measured(
    networks: Mapping[str, Architecture], place: Place, quick: bool
) -> tuple[dict[str, Measurement | TrialFailure], Description]:
    device = place.opened()
    description = device.describe()
    named = [Named(text, text, network, None) for text, network in networks.items()]
    print(f"measuring {len(named)} networks on {description.device} ...", file=sys.stderr)
    return measured_by_text(named, Instrument(device), Timing() if quick else THOROUGH), description


def _measured_detectors(
    networks: Mapping[str, Architecture], place: Place, quick: bool
) -> tuple[dict[str, Measurement | TrialFailure], Description]:
    """Of SSDLite on each network, by the network's text."""
    device = place.opened()
    description = device.describe()
    print(f"measuring {len(networks)} detectors on {description.device} ...", file=sys.stderr)
    candidates = {
        text: detector_candidate(detector_on(network, classes=COCO_CLASSES), device.model_format)
        for text, network in networks.items()
    }
    return measure(device, candidates, timing=Timing() if quick else THOROUGH, resources=True), description


def _plain(latency: Measurement | TrialFailure | None) -> dict[str, Any] | None:
    if latency is None:
        return None
    return latency.to_dict() if isinstance(latency, Measurement) else {"failed": str(latency)}


def _conditions(description: Description | None) -> dict[str, Any]:
    return {} if description is None else {"device": description.device, "conditions": asdict(description)}
