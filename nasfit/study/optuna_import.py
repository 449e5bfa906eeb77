"""Trials of an Optuna study as a study of ours: the inverse of `optuna_copy`, and for searches that Optuna made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from nasfit.errors import MissingExtraError, StudyError, UsageError
from nasfit.space import SearchSpace
from nasfit.study.optuna_copy import parameter
from nasfit.study.study import Study
from nasfit.study.trial import Proposal, Trial, TrialState

# Names the document that says where trials come from; their study cannot be searched on.
IMPORTED = "imported"
_STATES = {"COMPLETE": TrialState.COMPLETE, "PRUNED": TrialState.PRUNED, "FAIL": TrialState.FAILED}


def imported_from_optuna(storage: str, name: str, into: Path, space: SearchSpace) -> int:
    """Writes a new study with the ended trials of an Optuna study, for `--warm-start` and for tables; how many.

    Its parameters are d00, d01, and so on, each the index of an option. Accuracy (0 to 1) and latency (ms) are the user
    attributes `accuracy` and `latency_ms`, else the two values of a study that maximizes the first and minimizes the
    second; the network is the attribute `architecture`, else what the point is at full width. Raises MissingExtraError;
    StudyError where the storage cannot be read or `into` holds a study; UsageError for trials of another space.
    """
    try:
        import optuna
    except ImportError as error:
        raise MissingExtraError("importing a study from Optuna", "optuna") from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        source = optuna.load_study(study_name=name, storage=storage)
        found = source.get_trials(deepcopy=False)
    except KeyError as error:
        raise StudyError(f"{storage} has no study {name!r}; see: optuna studies --storage {storage}") from error
    except (ValueError, ImportError, OSError, SQLAlchemyError, optuna.exceptions.OptunaError) as error:
        raise StudyError(f"Optuna cannot use the storage {storage!r}: {error}") from error
    both = [direction.name for direction in source.directions] == ["MAXIMIZE", "MINIMIZE"]
    read = list(_read(found, space, both=both))
    with Study.create(into, {}) as study:
        study.put_document("space", space.facts)
        study.put_document(IMPORTED, {"storage": storage, "name": name})
        proposed = study.propose([proposal for proposal, _ in read])
        study.finish([_ended(trial, told) for trial, (_, told) in zip(proposed, read, strict=True)])
    return len(read)


def _read(found: Sequence[Any], space: SearchSpace, *, both: bool) -> Iterator[tuple[Proposal, dict[str, Any]]]:
    wanted = [parameter(place) for place in range(len(space.option_counts))]
    for trial in found:
        if trial.state.name not in _STATES:
            continue
        attributes = dict(trial.user_attrs)
        point = tuple(trial.params.get(one) for one in wanted)
        if set(trial.params) != set(wanted) or not all(
            isinstance(token, int) and 0 <= token < count
            for token, count in zip(point, space.option_counts, strict=True)
        ):
            raise UsageError(
                f"trial {trial.number} is no point of space {space.name!r}: it needs the parameters {wanted[0]} to "
                f"{wanted[-1]}, each the index of an option; name its space with --space"
            )
        accuracy, latency_ms = trial.values if both and trial.values else (None, None)
        told = {
            "state": _STATES[trial.state.name],
            "accuracy": attributes.get("accuracy", accuracy),
            "latency_ms": attributes.get("latency_ms", latency_ms),
            "reason": str(attributes.get("reason", "")),
            "duplicate_of": None,
        }
        if told["state"] is TrialState.COMPLETE and told["accuracy"] is None:
            raise UsageError(
                f"trial {trial.number} does not tell its accuracy: give user attributes accuracy and latency_ms, or "
                f"the two values of a study that maximizes the first and minimizes the second"
            )
        text = str(attributes.get("architecture") or space.decode(point))
        yield Proposal(point, text, 0, str(attributes.get("origin", "optuna"))), told


def _ended(trial: Trial, told: Mapping[str, Any]) -> Trial:
    return replace(trial, **told)
