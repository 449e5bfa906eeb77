"""Shared training on several workers: rounds of steps apart from each other, then the mean of their weights.

Workers that start from the same weights and average them often learn nearly what one would learn from all steps in
turn (local SGD, Stich 2019), and need no common memory.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from nasfit.errors import TrialFailure
from nasfit.models.shared import SharedWeights
from nasfit.training.recipe import Recipe
from nasfit.training.shared_file import SharedFacts, read_facts, read_shared, write_shared
from nasfit.training.shared_training import SharedTrained, SharedTrainingJob, run_shared_training

# As `nasfit.workers.Pool.run`: function, payloads -> (index, value or failure) as they are done.
Run = Callable[[Callable[[Any], Any], Iterable[Any]], Iterator[tuple[int, Any]]]

# Steps of each worker between two means: so many that reading and writing the weights costs little.
ROUND_STEPS = 150
UNFINISHED = "unfinished.safetensors"


def train_together(
    run: Run,
    workers: int,
    start: Path,
    members: Sequence[str],
    data: Path,
    recipe: Recipe,
    *,
    seed: int,
    scratch: Path,
) -> tuple[SharedWeights, SharedFacts]:
    """Trains the members on the shared weights of a file; recipe: its images are shown in all, over all workers.

    scratch: existing directory for the weights between rounds, from which the same call goes on after an interruption;
    `start` stays as it is. Returns the weights, and the facts of `start` with failures and seconds of this training and
    its images added. Same seed and workers: same weights, on CPUs, however often interrupted. Raises TrialFailure where
    no worker got through a round.
    """
    own = recipe.lasting(recipe.images // workers)
    current, facts = _begun(start, scratch, _name((start.name, workers, members, str(data), recipe, seed)))
    while facts.steps < own.steps:
        last = min(facts.steps + ROUND_STEPS, own.steps)
        alive = tuple(text for text in members if text not in facts.failures)
        if not alive:
            break
        parts = [scratch / f"part{place}.safetensors" for place in range(workers)]
        jobs = [
            SharedTrainingJob(str(current), str(part), alive, str(data), own, seed * workers + place, facts.steps, last)
            for place, part in enumerate(parts)
        ]
        done = _finished(run(run_shared_training, jobs))
        failures = {text: why for trained in done.values() for text, why in trained.failures.items()}
        facts = replace(
            facts,
            failures={**facts.failures, **failures},
            seconds=facts.seconds + sum(trained.seconds for trained in done.values()),
            steps=last,
        )
        current = scratch / UNFINISHED
        _write_mean([parts[place] for place in done], facts, current)
    weights, _, _ = read_shared(current)
    return weights, replace(facts, images=facts.images + recipe.images, training="", steps=0)


def _begun(start: Path, scratch: Path, training: str) -> tuple[Path, SharedFacts]:
    """Where to begin: with what an interrupted call of the same training left, else with `start`."""
    begun = scratch / UNFINISHED
    if begun.exists() and (facts := read_facts(begun)).training == training:
        return begun, facts
    return start, replace(read_facts(start), failures={}, seconds=0.0, training=training, steps=0)


def _name(parts: tuple[object, ...]) -> str:
    """The same for the same training only."""
    return hashlib.blake2b(repr(parts).encode(), digest_size=8).hexdigest()


def _finished(values: Iterator[tuple[int, SharedTrained | TrialFailure]]) -> dict[int, SharedTrained]:
    """What came of each worker by its place; of a lost one the steps are lost, and the others' weights count."""
    found = dict(values)
    done = {place: value for place, value in sorted(found.items()) if isinstance(value, SharedTrained)}
    if not done:
        raise TrialFailure(f"shared training: {found[0]}")
    return done


def _write_mean(parts: Sequence[Path], facts: SharedFacts, result: Path) -> None:
    read = [read_shared(part) for part in parts]
    weights = read[0][0]
    weights.values.copy_(torch.stack([each.values for each, _, _ in read]).mean(0))
    momenta = [momentum for _, _, momentum in read if momentum is not None]
    write_shared(result, weights, facts, torch.stack(momenta).mean(0))
