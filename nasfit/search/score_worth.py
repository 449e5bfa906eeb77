"""How well the scores of untrained networks rank what a study trained: read from the study alone."""

from __future__ import annotations

from collections.abc import Sequence

from nasfit.search.rank_agreement import Agreement, agreement
from nasfit.search.settings import COUNTED, SCORES, Settings
from nasfit.study import Study, Trial, TrialState

# Network -> score -> value; None where it is no number.
DOCUMENT = "zero-cost scores"
# By `Settings.hints`: the scores that become hints at accuracy.
HINT_SCORES: dict[str, tuple[str, ...]] = {"none": (), "counts": COUNTED, "scores": SCORES}
# Networks that a score is judged by, spread over the study: more of them narrow no interval that matters, and every
# pair of them is looked at.
MOST_RANKED = 500

Kept = dict[str, dict[str, float | None]]


def scores_wanted(settings: Settings) -> tuple[str, ...]:
    """Which scores a study looks at: its hints and what it screens by, in the order of `SCORES`."""
    screen = settings.screen
    wanted = {*HINT_SCORES[settings.hints], *(SCORES if screen == "auto" else (screen,))}
    return tuple(name for name in SCORES if name in wanted)


def kept_scores(study: Study) -> Kept:
    """All scores computed in this study."""
    return dict(study.document(DOCUMENT) or {})


def ranked(trials: Sequence[Trial]) -> list[Trial]:
    """Trained trials, each network once: what scores are compared with."""
    return [trial for trial in trials if trial.state is TrialState.COMPLETE and trial.duplicate_of is None]


def score_agreements(
    trials: Sequence[Trial], kept: Kept, names: Sequence[str], outside: float = 0.1
) -> dict[str, Agreement | None]:
    """How each score ranks the trained networks that have it, against the accuracies of their trials.

    outside: probability left outside each interval. None where there is no order.
    """
    found = {}
    for name in names:
        pairs = [
            (value, trial.accuracy)
            for trial in ranked(trials)
            if (value := kept.get(trial.architecture, {}).get(name)) is not None and trial.accuracy is not None
        ]
        pairs = pairs[:: -(-len(pairs) // MOST_RANKED) or 1]
        found[name] = agreement([a for a, _ in pairs], [b for _, b in pairs], outside=outside)
    return found
