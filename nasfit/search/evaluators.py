"""How accuracies of a batch of measured trials come about: one way a study, by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from nasfit.search.evaluate import Jobs, proxy_job, trained
from nasfit.search.inherited import child_job, inherit
from nasfit.search.pooled import POOL_BATCH, pooled
from nasfit.search.setup import Setup
from nasfit.search.supernet import supernet
from nasfit.study import Trial

# Takes measured RUNNING trials, yields each finished as it is done; stores no trial.
Evaluator = Callable[[Setup, Sequence[Trial]], Iterator[Trial]]

EVALUATORS: dict[str, Evaluator] = {"standalone": trained, "inherit": inherit, "pool": pooled, "supernet": supernet}

# Trials that these want in a batch; the others take a few a worker.
BATCH_SIZES: dict[str, int] = {"pool": POOL_BATCH}

# The training of one network outside a batch whose accuracy is on the scale of the trials; the others have none.
ALONE: dict[str, Jobs] = {"standalone": proxy_job, "inherit": child_job}


def evaluated(setup: Setup, trials: Sequence[Trial]) -> Iterator[Trial]:
    """The trials finished by the study's evaluator, in the order in which they are done."""
    yield from EVALUATORS[setup.plan.evaluator](setup, trials)
