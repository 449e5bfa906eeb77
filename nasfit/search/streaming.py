"""Trials without batches: a free worker gets the next network at once, so that many never wait for the slowest."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from nasfit.search.evaluate import trained_in_groups
from nasfit.search.evaluators import ALONE
from nasfit.search.setup import Setup
from nasfit.study import Trial, TrialState

# With fewer workers, waiting for the last of a batch costs less than asking and measuring more often.
FROM_WORKERS = 6
# Networks asked for at once, while the others train: one for so many workers.
WORKERS_A_PROPOSAL = 4


def streams(setup: Setup) -> bool:
    """Whether trials are trained so: each for itself, and many at once."""
    return setup.plan.evaluator in ALONE and setup.pool.workers >= FROM_WORKERS


def streamed(
    setup: Setup,
    asked: Callable[[int], Iterator[Trial]],
    room: Callable[[], int],
    settle: Callable[[Trial], None],
    most_repeats: int,
) -> Iterator[None]:
    """Trains until there is no room, or until so many askings in a row bring no new network; yields after each trial.

    asked: measured trials of new proposals, at most so many worth training (RUNNING) and any number ended. room: how
    many more may be trained. settle: stores an ended trial and tells the strategy, before it is asked again.
    """
    supply = _supply(setup, asked, room, settle, most_repeats)
    for trial in trained_in_groups(setup, supply, ALONE[setup.plan.evaluator]):
        settle(trial)
        yield


def _supply(
    setup: Setup,
    asked: Callable[[int], Iterator[Trial]],
    room: Callable[[], int],
    settle: Callable[[Trial], None],
    most_repeats: int,
) -> Iterator[list[Trial]]:
    """Trials to train; one whose network is at work already joins that group, and has its values then."""
    groups: dict[str, list[Trial]] = {}
    repeats = 0
    while repeats < most_repeats and (left := room()) > 0:
        new = False
        hopeful = []
        for trial in asked(min(left, max(1, setup.pool.workers // WORKERS_A_PROPOSAL))):
            if trial.state is TrialState.RUNNING:
                hopeful.append(trial)
            else:
                settle(trial)
                new = new or trial.duplicate_of is None
        at_work = {trial.number for trial in setup.study.running()}
        groups = {text: group for text, group in groups.items() if group[0].number in at_work}
        for trial in hopeful:
            if trial.architecture in groups:
                groups[trial.architecture].append(trial)
            else:
                groups[trial.architecture] = [trial]
                new = True
                yield groups[trial.architecture]
        repeats = 0 if new else repeats + 1
