"""A copy of a study for Optuna, whose dashboard and analyses then show it."""

from __future__ import annotations

from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from nasfit.errors import MissingExtraError, StudyError
from nasfit.study.study import Study
from nasfit.study.trial import Trial, TrialState

# Optuna knows no trial that was measured and deliberately not trained but a pruned one.
STATES = {
    TrialState.COMPLETE: "COMPLETE",
    TrialState.STOPPED: "PRUNED",
    TrialState.PRUNED: "PRUNED",
    TrialState.FAILED: "FAIL",
}


def copied_to_optuna(study: Study, storage: str, name: str) -> int:
    """Adds all ended trials to a new Optuna study of two objectives, accuracy (up) and latency in ms (down); how many.

    storage: as Optuna takes it, such as `sqlite:///optuna.db`. Decisions are the categorical parameters d00, d01, and
    so on; all else of a trial is in its user attributes. Raises MissingExtraError, StudyError where the storage has a
    study of that name or takes none.
    """
    try:
        import optuna
    except ImportError as error:
        raise MissingExtraError("copying a study to Optuna", "optuna") from error
    space = study.document("space")
    if not space:
        raise StudyError(f"study {str(study.path)!r} does not say its space; only searches can be copied")
    categories = [optuna.distributions.CategoricalDistribution(tuple(range(count))) for count in space["options"]]
    distributions = {parameter(place): kind for place, kind in enumerate(categories)}
    ended = [trial for trial in study.trials() if trial.state in STATES]
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        target = optuna.create_study(study_name=name, storage=storage, directions=["maximize", "minimize"])
        target.add_trials([_frozen(optuna, trial, distributions) for trial in ended])
    except optuna.exceptions.DuplicatedStudyError as error:
        raise StudyError(f"{storage} has a study {name!r} already; give another --name, or another storage") from error
    except (ValueError, ImportError, OSError, SQLAlchemyError, optuna.exceptions.OptunaError) as error:
        raise StudyError(f"Optuna cannot use the storage {storage!r}: {error}") from error
    return len(ended)


def _frozen(optuna: Any, trial: Trial, distributions: dict[str, Any]) -> Any:
    told = {
        "number": trial.number,
        "architecture": trial.architecture,
        "origin": trial.origin,
        "accuracy": trial.accuracy,
        "latency_ms": trial.latency_ms,
        "reward": trial.reward,
        "reason": trial.reason,
        "duplicate_of": trial.duplicate_of,
    }
    complete = trial.state is TrialState.COMPLETE
    return optuna.trial.create_trial(
        state=optuna.trial.TrialState[STATES[trial.state]],
        values=[trial.accuracy, trial.latency_ms] if complete else None,
        params={parameter(place): token for place, token in enumerate(trial.tokens)},
        distributions=distributions,
        user_attrs={what: value for what, value in told.items() if value not in (None, "")},
    )


def parameter(place: int) -> str:
    """What Optuna calls a decision, from 0."""
    return f"d{place:02}"
