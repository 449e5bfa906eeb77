"""In which precision a study trains: tried on this machine, unless the settings say."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from nasfit.architecture import Architecture
from nasfit.errors import StudyError, TrialFailure
from nasfit.search.settings import Settings
from nasfit.training import Pace, Recipe, TrainingJob, bf16_in_hardware, training_speed
from nasfit.workers import Pool

# A gain below this is within the noise of so short a trial.
WORTHWHILE = 1.1


def chosen_precision(
    settings: Settings, network: Architecture, directory: Path, pool: Pool
) -> tuple[str, float | None]:
    """The precision, and how many times as fast bf16 is as fp32 where that was worth a try.

    network: of middling size. Each is tried in all workers at once, as in the search. Raises StudyError where
    the network cannot be trained.
    """
    if settings.train_precision is not None:
        return settings.train_precision, None
    if not bf16_in_hardware():
        return "fp32", None
    job = TrainingJob(str(network), str(directory), Recipe(images=0), seed=0)
    plain = slowest_speed(job, pool)
    gain = slowest_speed(replace(job, pace=Pace("bf16")), pool) / plain
    return "bf16" if gain >= WORTHWHILE else "fp32", gain


def slowest_speed(job: TrainingJob, pool: Pool) -> float:
    """The slowest worker's training speed while all of them train, images a second."""
    speeds = []
    for _, value in pool.run(training_speed, [job] * pool.workers, timeout_s=300):
        if isinstance(value, TrialFailure):
            raise StudyError(f"a trial training could not run: {value}")
        speeds.append(value)
    return float(min(speeds))
