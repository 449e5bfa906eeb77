"""What the finale kept beside its result: samples of the measurement, times of parts, mistakes on the test set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from nasfit.architecture import Architecture
from nasfit.errors import UsageError
from nasfit.latency import Measurement
from nasfit.latency.part_times import PartTimes
from nasfit.report.architecture_drawing import drawn_parts
from nasfit.report.error_analysis import ErrorAnalysis, error_analysis
from nasfit.search.documents import FINALS, LATENCIES, PARTS
from nasfit.search.result import Contender, Result
from nasfit.study import Study
from nasfit.tasks import ClassificationData

EARLIER = "this study's search was of an earlier version, which did not keep it"


@dataclass(frozen=True)
class FinalEvidence:
    """latencies: of the final measurement, with all samples, by network; empty where not kept.

    parts: where the time of the network handed over goes; errors: what the test set told of it, picture by picture;
    each None with the reason in `no_parts`, `no_errors`, which is empty where there is no such network.
    """

    latencies: Mapping[str, Measurement] = field(default_factory=dict)
    parts: PartTimes | None = None
    no_parts: str = ""
    errors: ErrorAnalysis | None = None
    no_errors: str = ""


def final_evidence(study: Study, result: Result | None, data: ClassificationData | None) -> FinalEvidence:
    """Empty before the finale. data: the study's pictures, None where they are not at hand. Raises StudyError."""
    if result is None:
        return FinalEvidence()
    latencies = _latencies(study.document(LATENCIES) or {})
    if result.best is None:
        return FinalEvidence(latencies)
    best = result.contenders[result.best]
    parts, no_parts = _parts(study.document(PARTS), best)
    errors, no_errors = _errors(study.document(FINALS) or {}, result, data)
    return FinalEvidence(latencies, parts, no_parts, errors, no_errors)


def _latencies(document: Mapping[str, Any]) -> dict[str, Measurement]:
    try:
        return {name: Measurement.from_dict(values) for name, values in document.items()}
    except UsageError:
        # Of another version: what it stands for is not known here.
        return {}


def _parts(document: dict[str, Any] | None, best: Contender) -> tuple[PartTimes | None, str]:
    if document is None:
        return None, EARLIER
    if "failed" in document:
        return None, str(document["failed"])
    try:
        times = PartTimes.from_json(document)
    except UsageError as error:
        return None, str(error)
    names = [part.name for part in drawn_parts(Architecture.parse(best.architecture))]
    if times.network != best.architecture or [part.name for part in times.parts] != names:
        return None, f"what is kept is of another network than {best.name}"
    return times, ""


def _errors(
    finals: Mapping[str, Any], result: Result, data: ClassificationData | None
) -> tuple[ErrorAnalysis | None, str]:
    if data is None:
        return None, "the pictures of this study are not at hand"
    found = error_analysis(result, finals, data.test.labels_N, data.classes)
    return found, "" if found else EARLIER
