"""Zero-cost scores of a study's networks: computed once, kept, compared with its accuracies, given to the strategy.

A score is kept under the network's text, so it survives whatever interrupts the search.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nasfit.architecture import Architecture
from nasfit.errors import TrialFailure
from nasfit.search.score_worth import DOCUMENT, HINT_SCORES, kept_scores, ranked, scores_wanted
from nasfit.search.settings import COUNTED
from nasfit.search.setup import Setup
from nasfit.strategies import Hint, hint_from
from nasfit.training import ZeroCostJob, run_zero_cost
from nasfit.training.zero_cost import counted

# Computed together, so that a kill loses no more than these.
TOGETHER = 16
# Random points whose scores make a model of a score over the space: counted ones cost nothing.
COUNTED_POINTS, SCORED_POINTS = 240, 120
# Scores that grow by factors; the others are logarithms as they are.
FACTORS = (*COUNTED, "grad_norm", "snip")


def scored(setup: Setup, networks: Sequence[str], names: Sequence[str]) -> list[dict[str, float | None]]:
    """These scores of the networks (text forms); computes on the workers what is not kept, and keeps it."""
    kept = kept_scores(setup.study)
    fresh = [text for text in dict.fromkeys(networks) if not set(names) <= set(kept.get(text, {}))]
    for start in range(0, len(fresh), TOGETHER):
        group = fresh[start : start + TOGETHER]
        missing = [tuple(name for name in names if name not in kept.get(text, {})) for text in group]
        for text, values in zip(group, _computed(setup, group, missing), strict=True):
            kept[text] = {**kept.get(text, {}), **values}
        setup.study.put_document(DOCUMENT, kept)
    return [kept[text] for text in networks]


def keep_scores(setup: Setup) -> None:
    """Scores every trained network of a study that looks at scores, so that their worth can be told."""
    if names := scores_wanted(setup.settings):
        scored(setup, [trial.architecture for trial in ranked(setup.study.trials())], names)


def score_hints(setup: Setup) -> tuple[Hint, ...]:
    """A hint at accuracy for each score of `Settings.hints`; what it is worth the strategy learns from the trials.

    A strategy asks for thousands of points at once, so a hint is a model of the score, fitted to random points whose
    scores are computed at the start.
    """
    hints = []
    for name in HINT_SCORES[setup.settings.hints]:
        number = COUNTED_POINTS if name in COUNTED else SCORED_POINTS
        counts = setup.space.option_counts
        points = np.random.default_rng(setup.settings.seed).integers(counts, size=(number, len(counts))).tolist()
        networks = [str(setup.architecture(tuple(point))) for point in points]
        values = [row[name] for row in scored(setup, networks, HINT_SCORES[setup.settings.hints])]
        rows = [
            (tuple(point), float(np.log(value)) if name in FACTORS else value)
            for point, value in zip(points, values, strict=True)
            if value is not None
        ]
        hints.append(hint_from(counts, setup.space.groups, rows))
    return tuple(hints)


def _computed(
    setup: Setup, networks: Sequence[str], missing: Sequence[tuple[str, ...]]
) -> list[dict[str, float | None]]:
    """Counted here, the rest by the workers; a network that fails has None for each score asked for."""
    found: list[dict[str, float | None]] = []
    jobs, places = [], []
    for place, (text, names) in enumerate(zip(networks, missing, strict=True)):
        of_network = counted(Architecture.parse(text)) if set(names) & set(COUNTED) else {}
        found.append({name: of_network[name] for name in names if name in COUNTED})
        if rest := tuple(name for name in names if name not in COUNTED):
            jobs.append(ZeroCostJob(text, str(setup.data_directory), setup.settings.seed, rest))
            places.append(place)
    for index, values in setup.pool.run(run_zero_cost, jobs) if jobs else ():
        found[places[index]].update(dict.fromkeys(jobs[index].names) if isinstance(values, TrialFailure) else values)
    return found
