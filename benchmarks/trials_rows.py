"""Trainings of the trials benchmark, kept in a JSON-lines file as they finish, so that hours of them can be spread."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from facts import processor

from nasfit.architecture import adapted
from nasfit.errors import TrialFailure
from nasfit.space import DEFAULT_SPACE, named_space
from nasfit.tasks import ClassificationData
from nasfit.training import TrainingJob, recipe_for, run_training
from nasfit.workers import Pool


@dataclass(frozen=True)
class Row:
    """One training. images: trained on. full: on training and validation pictures, tested; else validated.

    processor: that `cpu_s` was taken on; rows of several may lie in one file.
    """

    architecture: str
    images: int
    seed: int
    full: bool
    accuracy: float
    cpu_s: float
    processor: str


@dataclass(frozen=True)
class Wanted:
    """A training to do; data: directory of saved pictures, of `pictures` training pictures."""

    architecture: str
    images: int
    seed: int
    full: bool
    data: str
    pictures: int


def architectures(data: ClassificationData, number: int, seed: int = 24, strides: str = "early") -> list[str]:
    """Random points of the space, at a width and strides that a short search on one CPU takes, fitted to them."""
    space, random = named_space(DEFAULT_SPACE), np.random.default_rng(seed)
    points = [[int(random.integers(options)) for options in space.option_counts] for _ in range(number)]
    return [
        str(
            adapted(
                space.decode(point, 0.35),
                resolution=data.resolution,
                channels=data.channels,
                classes=len(data.classes),
                strides=strides,
            )
        )
        for point in points
    ]


class Rows:
    """What is known so far, in a file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        lines = path.read_text().splitlines() if path.exists() else []
        self._known = {_key(row): row for row in map(_read, lines)}

    def known(self, wanted: Sequence[Wanted]) -> list[Row]:
        """The trainings wanted, all done."""
        return [self._known[_key(job)] for job in wanted]

    def trained(self, wanted: Sequence[Wanted], pool: Pool) -> Iterator[Row]:
        """Does what is not known yet, and keeps each at once."""
        for _, found in pool.run(_row, [job for job in wanted if _key(job) not in self._known]):
            if isinstance(found, TrialFailure):
                raise found
            self._known[_key(found)] = found
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("a") as file:
                file.write(json.dumps(asdict(found)) + "\n")
            yield found


def _key(row: Row | Wanted) -> tuple[str, int, int, bool]:
    return row.architecture, row.images, row.seed, row.full


def _read(line: str) -> Row:
    return Row(**json.loads(line))


def _row(job: Wanted) -> Row:
    began = time.process_time()
    recipe = recipe_for(job.images, job.pictures)
    result = run_training(TrainingJob(job.architecture, job.data, recipe, job.seed, final=job.full))
    return Row(
        job.architecture, job.images, job.seed, job.full, result.accuracy, time.process_time() - began, processor()
    )
