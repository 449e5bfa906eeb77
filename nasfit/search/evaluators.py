"""How accuracies of a batch of measured trials come about: one way a study, by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from nasfit.search.evaluate import trained
from nasfit.search.setup import Setup
from nasfit.study import Trial

# Takes measured RUNNING trials, yields each finished as it is done; stores no trial.
Evaluator = Callable[[Setup, Sequence[Trial]], Iterator[Trial]]

EVALUATORS: dict[str, Evaluator] = {"standalone": trained}


def evaluated(setup: Setup, trials: Sequence[Trial]) -> Iterator[Trial]:
    """The trials finished by the study's evaluator, in the order in which they are done."""
    yield from EVALUATORS[setup.plan.evaluator](setup, trials)
