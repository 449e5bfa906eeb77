"""Trainings on machines that share no disk with the driver: pictures and weights travel with the call."""

from __future__ import annotations

import fcntl
import hashlib
import io
import os
import shutil
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nasfit.errors import TrialFailure, UsageError
from nasfit.search.job_text import job_of, job_text
from nasfit.study.files import write_whole_file
from nasfit.training import TrainingJob, TrainingResult, run_training

# Larger pictures have to be on a disk that all machines share.
MOST_BYTES = 4_000_000_000
_OWN_MODE = 0o700


@dataclass(frozen=True)
class Carried:
    """What comes back from the other machine. weights: content of the file that the job asked for."""

    result: TrainingResult
    weights: bytes | None


class FarTrainings:
    """How trainings of a study travel; a `Packing`.

    study: its directory. put: makes a reference to a large value. Raises UsageError for pictures too many to send.
    """

    def __init__(self, study: Path, put: Callable[[Any], Any]) -> None:
        self._study, self._put = study.absolute(), put
        self._pictures: dict[str, Any] = {}

    def packed(self, payload: TrainingJob) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        """The call of `trained_far`."""
        text = job_text(payload, self._study)
        if text["data"] not in self._pictures:
            content = _packed(self._study / text["data"])
            self._pictures[text["data"]] = hashlib.sha256(content).hexdigest()[:32], self._put(content)
        start = Path(payload.start).read_bytes() if payload.start else None
        return trained_far, (str(self._study), text, *self._pictures[text["data"]], start)

    def unpacked(self, payload: TrainingJob, result: Carried) -> TrainingResult:
        """The result; weights lie where the job wants them."""
        if payload.weights and result.weights is not None:
            write_whole_file(Path(payload.weights), result.weights)
        return result.result


def trained_far(study: str, text: dict[str, Any], digest: str, pictures: bytes, start: bytes | None) -> Carried:
    """On the other machine. study: the driver's directory, used where this machine has it too. digest: of pictures."""
    with tempfile.TemporaryDirectory(prefix="nasfit-") as place:
        job = job_of(text, Path(place))
        shared = Path(study) / text["data"]
        job = replace(job, data=str(shared if shared.is_dir() else _pictures_here(digest, pictures)))
        if start is not None:
            job = replace(job, start=str(Path(place) / "start.safetensors"))
            Path(job.start or "").write_bytes(start)
        if job.weights:
            job = replace(job, weights=str(Path(place) / "weights.safetensors"))
        result = run_training(job)
        return Carried(result, Path(job.weights).read_bytes() if job.weights else None)


def _packed(directory: Path) -> bytes:
    size = sum(file.stat().st_size for file in directory.rglob("*") if file.is_file())
    if size > MOST_BYTES:
        raise UsageError(
            f"the pictures in {str(directory)!r} have {size / 1e9:.1f} GB, too much to send to every machine; put the "
            f"study on a disk that all machines of the cluster share, at the same path"
        )
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for file in sorted(file for file in directory.rglob("*") if file.is_file()):
            archive.write(file, file.relative_to(directory))
    return content.getvalue()


def _pictures_here(name: str, content: bytes) -> Path:
    """Unpacked once on this machine, for all its processes."""
    root = Path(tempfile.gettempdir()) / f"nasfit-pictures-{os.getuid()}"
    root.mkdir(mode=_OWN_MODE, exist_ok=True)
    if root.stat().st_uid != os.getuid() or root.is_symlink():
        raise TrialFailure(f"{root} belongs to somebody else; remove it")
    with (root / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (root / name).exists():
            unfinished = root / f"{name}.unfinished"
            shutil.rmtree(unfinished, ignore_errors=True)
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                archive.extractall(unfinished)
            unfinished.rename(root / name)
    return root / name
