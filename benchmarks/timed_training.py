"""Trainings with the seconds of a core that each took; a module of its own so that workers can import it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

from nasfit.errors import TrialFailure
from nasfit.training import TrainingJob, run_training
from nasfit.workers import Pool


def timed(pool: Pool, jobs: Sequence[TrainingJob]) -> list[tuple[float, float]]:
    """Accuracy of each and seconds of its core, in order. Raises TrialFailure."""
    found = dict(pool.run(timed_training, jobs))
    for result in found.values():
        if isinstance(result, TrialFailure):
            raise result
    return [found[place] for place in range(len(jobs))]


def timed_training(job: TrainingJob) -> tuple[float, float]:
    """In a worker."""
    began = time.process_time()
    return run_training(job).accuracy, time.process_time() - began


def lasting_training(work: tuple[TrainingJob, float]) -> float:
    """In a worker: images a second of a training of about so many seconds, after a short one to warm up."""

    job, seconds = work
    warm = run_training(replace(job, recipe=job.recipe.lasting(3 * job.recipe.batch)))
    images = max(job.recipe.batch, int(warm.images_per_second * seconds))
    return run_training(replace(job, recipe=job.recipe.lasting(images))).images_per_second
