"""Each network starts from the weights of the most similar of a few trained parents, and trains for a fraction.

A network that inherits from one that inherited has seen the more pictures the longer its line is, and accuracies of
different lengths cannot be compared. So only the first networks of a study are parents, all trained alike from fresh
weights, and the accuracy of every trial, the parents' own included, is that of a short training from a parent other
than itself: all have seen as many pictures. What is left of the bias is that some networks are nearer to a parent than
others are.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from nasfit.architecture import Architecture
from nasfit.errors import StudyError, TrialFailure
from nasfit.search.evaluate import patience_s, proxy_job, trained
from nasfit.search.kinship import kinship
from nasfit.search.setup import Setup
from nasfit.study import Trial
from nasfit.training import Recipe, TrainingJob, run_training

DIRECTORY, DOCUMENT = "parents", "parents"
PARENTS = 6
# Of the pictures that a parent trains on, for every trial; see decision 0011.
CHILD_SHARE = 0.25
CHILD_RATE, CHILD_WARM_UP = 0.05, 0.25


def inherit(setup: Setup, trials: Sequence[Trial]) -> Iterator[Trial]:
    """Trains measured trials and yields them finished as they come; stores no trial.

    Raises StudyError where no parent could be trained.
    """
    if trials:
        _rear(setup, trials)
        yield from trained(setup, trials, child_job)


def child_job(setup: Setup, architecture: str, seed: int) -> TrainingJob:
    """The short training of a network from the nearest parent that is another network."""
    job = proxy_job(setup, architecture, seed)
    return replace(job, recipe=child_recipe(job.recipe), start=str(setup.study.path / nearest(setup, architecture)))


def child_recipe(alone: Recipe) -> Recipe:
    """Of a network that inherits, from the recipe of one that does not, such as its parent."""
    return replace(alone, images=round(CHILD_SHARE * alone.images), peak_rate=CHILD_RATE, warm_up=CHILD_WARM_UP)


def nearest(setup: Setup, architecture: str) -> str:
    """The weights to start from, a name in the study directory. A study with a single parent starts it from itself."""
    ready = ready_parents(setup)
    others = [text for text in ready if text != architecture] or ready
    return weights_of(closest(architecture, others))


def ready_parents(setup: Setup) -> list[str]:
    """The trained parents' texts; none where the study's evaluator is another."""
    return [text for text, parent in _parents(setup).items() if "accuracy" in parent]


def closest(architecture: str, others: Sequence[str]) -> str:
    """The one of most kinship, of equals the first."""
    child = Architecture.parse(architecture)
    return max(others, key=lambda text: kinship(child, Architecture.parse(text)))


def weights_of(architecture: str) -> str:
    """Where a parent's weights lie in the study directory."""
    return f"{DIRECTORY}/{digest(architecture)}.safetensors"


def digest(architecture: str) -> str:
    """A name for a network's file."""
    return hashlib.sha256(architecture.encode()).hexdigest()[:16]


def _rear(setup: Setup, trials: Sequence[Trial]) -> None:
    """Chooses the parents, once, and trains those that are not yet; each is stored as it is done."""
    parents = _parents(setup)
    if not parents:
        parents = {text: {} for text in list(dict.fromkeys(trial.architecture for trial in trials))[:PARENTS]}
        setup.study.put_document(DOCUMENT, parents)
    # A driver on another machine has none of the files; the same trainings give the same weights.
    waiting = [
        text
        for text, parent in parents.items()
        if not parent or ("accuracy" in parent and not (setup.study.path / weights_of(text)).exists())
    ]
    (setup.study.path / DIRECTORY).mkdir(exist_ok=True)
    jobs = [
        replace(proxy_job(setup, text, setup.settings.seed), weights=str(setup.study.path / weights_of(text)))
        for text in waiting
    ]
    for index, value in setup.pool.run(run_training, jobs, timeout_s=patience_s(setup)):
        if isinstance(value, TrialFailure):
            parents[waiting[index]] = {"failed": str(value)}
        else:
            parents[waiting[index]] = {"accuracy": value.accuracy, "seconds": value.seconds}
        setup.study.put_document(DOCUMENT, parents)
    if not any("accuracy" in parent for parent in parents.values()):
        reason = next(iter(parents.values()))["failed"]
        raise StudyError(
            f"none of the networks that others should inherit from could be trained, the first because: {reason}; "
            f"search with --evaluator standalone, into another --study"
        )


def _parents(setup: Setup) -> dict[str, dict[str, Any]]:
    return dict(setup.study.document(DOCUMENT) or {})
