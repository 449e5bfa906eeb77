"""The strategy of a search: made for its goal, its space and what is known, and told all that happened so far."""

from __future__ import annotations

from dataclasses import asdict

from nasfit.search.documents import DIAGNOSTICS
from nasfit.search.lookups import StudyLookups
from nasfit.search.outcomes import Outcomes
from nasfit.search.setup import Setup
from nasfit.search.warm_start import hints
from nasfit.search.zero_cost import score_hints
from nasfit.strategies import Strategy, make_strategy


def restored_strategy(setup: Setup, outcomes: Outcomes) -> Strategy:
    """The study's strategy as it is now.

    What a strategy knows follows from the outcomes in the order they were stored, so telling them again restores it.
    """
    name, study = setup.settings.strategy, setup.study
    accuracy_hints, latency_hints = hints(setup)
    strategy = make_strategy(
        name,
        setup.space.option_counts,
        seed=setup.settings.seed,
        asked=sum(trial.origin == name for trial in study.trials()),
        goal=setup.goal,
        groups=setup.space.groups,
        lookups=StudyLookups(setup),
        accuracy_hints=(*accuracy_hints, *score_hints(setup)),
        latency_hints=latency_hints,
    )
    for batch in study.batches():
        strategy.tell([outcomes(trial) for trial in batch])
    return strategy


def keep_diagnostics(setup: Setup, strategy: Strategy) -> None:
    """Stores what a strategy tells of its updates, where it does (`history`, a list of dataclasses)."""
    history = getattr(strategy, "history", None)
    if history:
        setup.study.put_document(DIAGNOSTICS, [asdict(update) for update in history])
