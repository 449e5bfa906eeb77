"""Dropping, before they are measured and trained, the proposals that a zero-cost score puts last.

Only where the score has shown its worth: on the networks that this very study has trained.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from nasfit.search.rank_agreement import Agreement
from nasfit.search.score_worth import kept_scores, ranked, score_agreements
from nasfit.search.settings import SCORES
from nasfit.search.setup import Setup
from nasfit.search.zero_cost import scored
from nasfit.study import Trial, TrialState

# Trained networks that a score must have been compared with, and the tau that the interval's lower end must reach.
FEWEST, LEAST_TAU = 16, 0.2
# What is dropped of a batch of proposals.
DROPPED = 1 / 3
# Left outside the interval, half below: for one score, and shared by all where the best of them is taken.
OUTSIDE = 0.1


@dataclass(frozen=True)
class Screen:
    """What the screen does now. score: it drops by, None: nothing is dropped. text: what and why, one sentence."""

    score: str | None
    text: str

    def wanted(self, number: int) -> int:
        """Proposals to ask for, so that about `number` remain."""
        return number if self.score is None else math.ceil(number / (1 - DROPPED))


def screen_now(setup: Setup) -> Screen | None:
    """By what the study's trained networks say of its score, or of the best of all scores; None without a screen."""
    wanted = setup.settings.screen
    if wanted == "none":
        return None
    names = SCORES if wanted == "auto" else (wanted,)
    trials = setup.study.trials()
    number = len(ranked(trials))
    if number < FEWEST:
        return Screen(None, f"screen: nothing is dropped before {FEWEST} networks are trained")
    found = score_agreements(trials, kept_scores(setup.study), names, OUTSIDE / len(names))
    known = {name: told for name, told in found.items() if told is not None}
    if not known:
        return Screen(None, "screen: no score orders the networks trained so far; nothing is dropped")
    best = max(known, key=lambda name: known[name].low)
    return _judged(best, known[best], of=len(names))


def parted(setup: Setup, screen: Screen | None, trials: Sequence[Trial]) -> Iterator[Trial]:
    """RUNNING trials as they are, but PRUNED those that the screen puts last; a network without a score stays."""
    if screen is None or screen.score is None:
        yield from trials
        return
    values = [row[screen.score] for row in scored(setup, [trial.architecture for trial in trials], [screen.score])]
    known = sorted(value for value in values if value is not None)
    # Of equal ones none is dropped before the other.
    bar = known[int(len(known) * DROPPED)] if known else -math.inf
    for trial, value in zip(trials, values, strict=True):
        if value is None or value >= bar:
            yield trial
        else:
            reason = f"{screen.score} {value:.4g} is below {bar:.4g}, among the lowest third of its batch"
            yield replace(trial, state=TrialState.PRUNED, reason=reason)


def _judged(name: str, found: Agreement, of: int) -> Screen:
    best = f"the best of {of} scores, " if of > 1 else ""
    sure = f"{100 * (1 - OUTSIDE / of):.3g} %"
    told = (
        f"{name}, {best}ranks the {found.networks} networks trained so far with tau {found.tau:.2f} "
        f"({sure}: {found.low:.2f} to {found.high:.2f})"
    )
    if found.low >= LEAST_TAU:
        return Screen(name, f"screen: {told}; the lowest third of each batch by it is dropped")
    return Screen(None, f"screen: {told}; nothing is dropped, for that takes {LEAST_TAU:g} at the lower end")
