"""`nasfit study`: what studies there are, and their trials for other tools."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from nasfit.cli.quantities import points
from nasfit.errors import StudyError
from nasfit.search.best_trials import best_under
from nasfit.search.merging import merged
from nasfit.search.standing import standing
from nasfit.space import named_space
from nasfit.study import Study, holds_study
from nasfit.study.exporting import exported
from nasfit.study.optuna_copy import copied_to_optuna
from nasfit.study.optuna_import import imported_from_optuna


def list_studies(directory: Path, *, as_json: bool) -> None:
    """Prints a line for each study below a directory. Raises StudyError where it is none."""
    if not directory.is_dir():
        raise StudyError(f"{str(directory)!r} is no directory; name the one that holds your studies")
    found = [_facts(path) for path in _studies(directory)]
    if as_json:
        print(json.dumps(found, indent=1))
        return
    if not found:
        print(f"no studies in {directory}")
        return
    width = max(len(one["study"]) for one in found)
    print(f"{'study':<{width}}  {'state':<12}{'trials':>7}{'trained':>9}{'limit ms':>10}   best under the limit")
    for one in found:
        if one["error"] is not None:
            print(f"{one['study']:<{width}}  {one['error']}")
            continue
        best = one["best"]
        told = f"{points(best['accuracy'])} at {best['latency_ms']:.3g} ms" if best else "none yet"
        numbers = f"{one['trials']:>7}{one['trained']:>9}{one['target_ms'] or 0:>10.3g}"
        print(f"{one['study']:<{width}}  {one['state']:<12}{numbers}   {told}")


def export(path: Path, file: Path, *, as_json: bool) -> None:
    """Writes a study's trials to a file and says so. Raises NasfitError."""
    with Study.open(path, read_only=True) as study:
        number = exported(study, file)
    _say({"trials": number, "file": str(file)}, f"{number} trials in {file}", as_json)


def to_optuna(path: Path, storage: str, name: str | None, *, as_json: bool) -> None:
    """Copies a study's trials into an Optuna storage and says so. Raises NasfitError."""
    name = name or path.absolute().name
    with Study.open(path, read_only=True) as study:
        number = copied_to_optuna(study, storage, name)
    _say({"trials": number, "name": name}, f"{number} trials in study {name!r} of {storage}", as_json)


def merge(into: Path, studies: Sequence[Path], *, as_json: bool) -> None:
    """Writes the merged study and says what came of it. Raises NasfitError."""
    done = merged(studies, into)
    left = f" ({done.left} that had not ended were left out)" if done.left else ""
    told = f"{done.trials} trials of {len(studies)} studies in {into}{left}; their budgets and times are summed"
    lines = "\n".join([*(f"note: {note}" for note in done.notes), told])
    _say({"study": str(into), **asdict(done)}, lines, as_json)


def import_optuna(storage: str, name: str, into: Path, space: str, *, as_json: bool) -> None:
    """Writes a study from Optuna's trials and says so. Raises NasfitError."""
    number = imported_from_optuna(storage, name, into, named_space(space))
    told = f"{number} trials in {into}; search on from them with --warm-start {into}"
    _say({"trials": number, "study": str(into)}, told, as_json)


def _say(facts: dict[str, Any], told: str, as_json: bool) -> None:
    print(json.dumps(facts, indent=1) if as_json else told)


def _studies(directory: Path) -> Iterator[Path]:
    """The directory itself, or those below it, at any depth; a study holds no studies."""
    if holds_study(directory):
        yield directory
        return
    for below in sorted(entry for entry in directory.iterdir() if entry.is_dir() and not entry.is_symlink()):
        yield from _studies(below)


def _facts(path: Path) -> dict[str, Any]:
    """A study in numbers; one that cannot be read is no reason not to list the others."""
    facts: dict[str, Any] = {"study": str(path), "error": None}
    try:
        with Study.open(path, read_only=True) as study:
            settings, trials = study.settings, study.trials()
            state = standing(study)
    except StudyError as error:
        return facts | {"error": str(error)}
    target_ms = settings.get("target_ms")
    best = best_under(trials, target_ms) if target_ms else None
    states = Counter(trial.state.value for trial in trials)
    return facts | {
        "data": settings.get("data"),
        "state": state,
        "trials": len(trials),
        "trained": states["complete"] + states["stopped"],
        "target_ms": target_ms,
        "best": {"accuracy": best.accuracy, "latency_ms": best.latency_ms} if best else None,
    }
