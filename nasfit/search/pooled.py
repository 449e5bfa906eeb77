"""The networks of a batch share their weights, train together, and are scored one by one; the weights go on.

The weights get better from batch to batch, and with them every score. A few networks of the first batch, the anchors,
are trained and scored again in every batch; what they gained is taken off all scores of that batch, so that accuracies
of all batches are on the scale of the first.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

import numpy as np

from nasfit.errors import TrialFailure
from nasfit.search.evaluate import by_network, completed, failed
from nasfit.search.setup import Setup
from nasfit.search.shared_trials import begun, patient_run, scored, scoring_job
from nasfit.study import Trial, TrialState
from nasfit.training.recipe import Recipe
from nasfit.training.shared_file import SharedFacts, shared_content
from nasfit.training.shared_rounds import train_together
from nasfit.training.shared_scoring import Scored, run_scoring

# Networks that train together: enough to share a step's gain among many, few enough to learn from between batches.
POOL_BATCH = 24
ANCHORS = 6
# Of the pictures that a trial alone trains on: shown each network in the pool. Giving half of them to a training of
# each network by itself, after that, ranked no better.
SHARED_SHARE = 0.2
SHARED_RATE = 0.05
SHARED_FILE = "shared/weights.safetensors"


def pooled(setup: Setup, trials: Sequence[Trial]) -> Iterator[Trial]:
    """Trains measured trials on the study's shared weights and yields them finished; stores no trial.

    A batch is learned once: the file of the weights tells which trials they learned last, and is replaced as a whole.
    """
    groups = by_network(trials)
    if not groups:
        return
    try:
        facts, anchors = _learned(setup, groups)
        scale = _scale(setup, anchors)
    except TrialFailure as failure:
        yield from (failed(trial, str(failure)) for trial in trials)
        return
    for text in facts.failures.keys() & groups.keys():
        yield from (failed(trial, facts.failures[text]) for trial in groups[text])
    alive = [group for text, group in groups.items() if text not in facts.failures]
    shared_s = (facts.seconds + scale.seconds) / len(groups)

    def finish(trial: Trial, score: Scored) -> Trial:
        return completed(setup, trial, scale.at_first(score.accuracy), shared_s + score.seconds)

    yield from scored(setup, alive, SHARED_FILE, finish)


@dataclass(frozen=True)
class Scale:
    """gain: what the anchors' accuracies have risen since the first batch, in log-odds. seconds: finding that took."""

    gain: float = 0.0
    seconds: float = 0.0

    def at_first(self, accuracy: float) -> float:
        """What a network of this accuracy (0 to 1) would have had in the first batch."""
        return 1 / (1 + math.exp(self.gain - log_odds(accuracy)))


def log_odds(accuracy: float) -> float:
    """log(p / (1 - p)); accuracies of 0 and 1 are taken for the nearest that a thousand pictures can tell from them."""
    held = min(max(accuracy, 5e-4), 1 - 5e-4)
    return math.log(held / (1 - held))


def _learned(setup: Setup, groups: Mapping[str, Sequence[Trial]]) -> tuple[SharedFacts, dict[str, float]]:
    """Has the shared weights learn the batch, unless an interrupted run did; its facts, and the anchors beside it."""
    facts = begun(setup, SHARED_FILE)
    numbers = tuple(sorted(trial.number for group in groups.values() for trial in group))
    done = set(numbers) <= set(facts.learned)
    anchors = _anchors(setup, facts, facts.learned if done else numbers)
    if done:
        return facts, anchors
    recipe = shared_recipe(setup.plan.proxy_images, len(groups) + len(anchors))
    members = [*groups, *(text for text in anchors if text not in groups)]
    weights, facts = train_together(
        patient_run(setup),
        setup.pool.workers,
        setup.study.path / SHARED_FILE,
        members,
        setup.data_directory,
        recipe,
        # Of the batch alone, so that a run that is interrupted learns the same from it again.
        seed=setup.settings.seed + numbers[0],
        scratch=setup.study.path / "shared",
    )
    facts = replace(facts, learned=numbers, first=facts.first or numbers)
    setup.study.write_file(SHARED_FILE, shared_content(weights, facts))
    return facts, anchors


def shared_recipe(proxy_images: int, members: int) -> Recipe:
    """Of the training together, for a trial that alone would train on `proxy_images`."""
    return Recipe(images=max(1, round(SHARED_SHARE * proxy_images)) * members, peak_rate=SHARED_RATE)


def _anchors(setup: Setup, facts: SharedFacts, batch: Sequence[int]) -> dict[str, float]:
    """Networks of the first batch, from the worst to the best, with their accuracies then; none for that batch."""
    if set(batch) <= set(facts.first) or not facts.first:
        return {}
    first = [trial for trial in setup.study.trials([TrialState.COMPLETE]) if trial.number in facts.first]
    known = {trial.architecture: trial.accuracy or 0.0 for trial in first if trial.duplicate_of is None}
    ranked = sorted(known, key=lambda text: known[text])
    places = np.linspace(0, len(ranked) - 1, min(ANCHORS, len(ranked))).round().astype(int)
    return {ranked[place]: known[ranked[place]] for place in places}


def _scale(setup: Setup, anchors: Mapping[str, float]) -> Scale:
    gains, seconds = [], 0.0
    jobs = [scoring_job(setup, text, SHARED_FILE) for text in anchors]
    for index, value in patient_run(setup)(run_scoring, jobs):
        if isinstance(value, Scored):
            gains.append(log_odds(value.accuracy) - log_odds(anchors[jobs[index].architecture]))
            seconds += value.seconds
    return Scale(fmean(gains) if gains else 0.0, seconds)
