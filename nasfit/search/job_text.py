"""Trainings as JSON, so that another process can do them, and what came of them, back.

A study may come from anybody: what is read is checked, and no path leads out of the study's directory.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import Path, PurePosixPath
from typing import Any

from nasfit.errors import StudyError, TrialFailure
from nasfit.study import Outcome
from nasfit.tasks import Mistake
from nasfit.training import Pace, Recipe, StopRule, TrainingJob, TrainingResult

# Of a job: kept relative to the study's directory.
PATHS = ("data", "weights", "start")


def job_text(job: TrainingJob, study: Path) -> dict[str, Any]:
    """The job as a JSON value. study: directory that its files lie in."""
    values = asdict(job)
    for name in PATHS:
        if values[name] is not None:
            values[name] = Path(values[name]).absolute().relative_to(study.absolute()).as_posix()
    return values


def job_of(value: Any, study: Path) -> TrainingJob:
    """Inverse of `job_text`. Raises StudyError for what is no job, or one that leaves the directory."""
    try:
        fields = dict(value)
        for name in PATHS:
            if fields[name] is not None:
                fields[name] = str(_inside(study, fields[name]))
        fields["recipe"] = Recipe(**fields["recipe"])
        fields["pace"] = Pace(**fields["pace"])
        fields["stops"] = tuple(StopRule(**rule) for rule in fields["stops"])
        return TrainingJob(**fields)
    except (TypeError, ValueError, KeyError, AssertionError) as error:
        raise StudyError(f"study {str(study)!r} asks for a training that does not read: {error}") from error


def key_of(value: Any) -> str:
    """The same for equal jobs."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:32]


def outcome_of(result: TrainingResult | TrialFailure) -> Outcome:
    """What a job ended with, to be told through the study."""
    if isinstance(result, TrialFailure):
        return Outcome(failure=str(result), note="\n".join(getattr(result, "__notes__", ())))
    return Outcome(asdict(result))


def result_of(outcome: Outcome) -> TrainingResult | TrialFailure:
    """Inverse of `outcome_of`. Raises StudyError."""
    if outcome.failure is not None:
        failure = TrialFailure(outcome.failure)
        if outcome.note:
            failure.add_note(outcome.note)
        return failure
    try:
        fields = dict(outcome.value)
        for name in ("curve", "looks"):
            fields[name] = tuple((images, value) for images, value in fields[name])
        if fields.get("mistakes") is not None:
            fields["mistakes"] = tuple(Mistake(*mistake) for mistake in fields["mistakes"])
        return TrainingResult(**fields)
    except (TypeError, ValueError, KeyError) as error:
        raise StudyError(f"the study has a result that does not read: {error}") from error


def _inside(study: Path, relative: str) -> Path:
    path = PurePosixPath(relative)
    if path.is_absolute() or ".." in path.parts:
        raise ValueError(f"{relative!r} lies outside the study")
    return study / path
