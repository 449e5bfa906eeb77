"""A study's trials as tables for other tools."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from nasfit.errors import MissingExtraError, UnknownNameError
from nasfit.study.failures import told
from nasfit.study.files import write_whole
from nasfit.study.study import Study
from nasfit.study.trial import Trial


def exported(study: Study, file: Path) -> int:
    """Writes all trials to a file, whole or not at all, as its suffix says; how many.

    `.csv` and `.parquet`: a row a trial, with seconds in a column a kind, and lists as JSON text. `.jsonl`: an object a
    trial, with its latency measurement, raw samples included. Raises UnknownNameError, MissingExtraError, StudyError.
    """
    write = FORMATS.get(file.suffix)
    if write is None:
        raise UnknownNameError("format", file.suffix or file.name, FORMATS)
    trials = study.trials()
    content = write(study, trials)
    with told(file):
        write_whole(file.parent, file.name, content)
    return len(trials)


def row_of(trial: Trial, kinds: Sequence[str] = ()) -> dict[str, Any]:
    """A trial as plain columns: numbers, texts and None. kinds: of work, each with a column of its seconds."""
    row = asdict(trial) | {"state": trial.state.value}
    seconds = row.pop("seconds")
    for name in ("tokens", "curve", "rung", "versions"):
        row[name] = None if row[name] is None else json.dumps(row[name])
    return row | {f"{kind}_s": seconds.get(kind) for kind in kinds}


def _csv(study: Study, trials: Sequence[Trial]) -> bytes:
    rows = _rows(trials)
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]) if rows else ["number"])
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def _jsonl(study: Study, trials: Sequence[Trial]) -> bytes:
    measurements = study.measurements
    lines = []
    for trial in trials:
        document = asdict(trial) | {"state": trial.state.value}
        document["measurement"] = measurements.get(trial.measurement) if trial.measurement else None
        lines.append(json.dumps(document))
    return "".join(f"{line}\n" for line in lines).encode()


def _parquet(study: Study, trials: Sequence[Trial]) -> bytes:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise MissingExtraError("writing Parquet", "parquet") from error
    sink = pyarrow.BufferOutputStream()
    parquet.write_table(pyarrow.Table.from_pylist(_rows(trials)), sink)
    return bytes(sink.getvalue())


def _rows(trials: Sequence[Trial]) -> list[dict[str, Any]]:
    kinds = sorted({kind for trial in trials for kind in trial.seconds})
    return [row_of(trial, kinds) for trial in trials]


FORMATS: dict[str, Callable[[Study, Sequence[Trial]], bytes]] = {".csv": _csv, ".jsonl": _jsonl, ".parquet": _parquet}
