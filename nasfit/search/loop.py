"""The loop: ask -> evaluate -> record -> tell, until the search's share of the budget is spent."""

from __future__ import annotations

import time
from collections.abc import Iterator

from nasfit.search.best_trials import best_under
from nasfit.search.evaluate import screened
from nasfit.search.evaluators import BATCH_SIZES, evaluated
from nasfit.search.events import Noted, TrialFinished
from nasfit.search.exponent import calibrate_exponent, exponent_of
from nasfit.search.outcomes import Outcomes
from nasfit.search.plan import search_left_s
from nasfit.search.proposing import keep_diagnostics, restored_strategy
from nasfit.search.proxy_start import searched, trials_of_check
from nasfit.search.screening import Screen, parted, screen_now
from nasfit.search.setup import Setup
from nasfit.search.streaming import streamed, streams
from nasfit.search.zero_cost import keep_scores
from nasfit.strategies import RandomSearch, Strategy, Tokens
from nasfit.study import Proposal, Trial, TrialState

# The first batch is random whatever the strategy: a first population, and the measure of what random search gets.
RANDOM_TRAINED = 12
RANDOM_HINTED = 5  # an earlier study says where to look: only as many as a verdict on random search needs
MOST_MEASURED = 6  # networks measured for one that is trained, within one batch
MOST_REPEATS = 50  # batches in a row without a new network: the space is exhausted, or the strategy has converged


def run_trials(setup: Setup) -> Iterator[TrialFinished | Noted]:
    """Runs trials and stores each before it is told; goes on with what an earlier run left unfinished."""
    study, name = setup.study, setup.settings.strategy
    deadline = _Deadline(setup)
    yield from _begun(setup, deadline)
    if setup.settings.calibrate_exponent and exponent_of(study) is None:
        yield Noted(calibrate_exponent(study))
    outcomes = Outcomes.of(setup)
    strategy = restored_strategy(setup, outcomes)
    repeats = 0
    screen = None
    if streams(setup):
        yield from _streaming(setup, deadline, strategy, outcomes)
    while repeats < MOST_REPEATS and (number := _room(setup, deadline)) > 0:
        before = len(study.trials())
        keep_scores(setup)
        last, screen = screen, screen_now(setup)
        if screen is not None and (last is None or screen.score != last.score):
            yield Noted(screen.text)
        for event in _recorded(setup, deadline, _batch(setup, strategy, name, number, screen)):
            strategy.tell([outcomes(event.trial)])
            yield event
        keep_diagnostics(setup, strategy)
        new = [trial for trial in study.trials()[before:] if trial.duplicate_of is None]
        repeats = 0 if new else repeats + 1
    keep_scores(setup)


def _begun(setup: Setup, deadline: _Deadline) -> Iterator[TrialFinished]:
    """The first batch of a new study, or what an interrupted run left: before any of it is told to the strategy."""
    yield from _recorded(setup, deadline, trials_of_check(setup))
    finished = _rest(setup)
    if not searched(setup) and (number := _room(setup, deadline)) > 0:
        source = RandomSearch(setup.space.option_counts, seed=setup.settings.seed)
        finished = _batch(setup, source, "random", number)
    yield from _recorded(setup, deadline, finished)


class _Deadline:
    """The end of the search's share of the budget; time spent by earlier runs counts, and is recorded as it passes."""

    def __init__(self, setup: Setup) -> None:
        self._study = setup.study
        self._budget_s = setup.settings.budget_s
        self._since = time.monotonic()

    def left_s(self) -> float:
        now = time.monotonic()
        self._study.add_seconds("search", now - self._since)
        self._since = now
        return search_left_s(self._study.seconds(), self._budget_s)


def _room(setup: Setup, deadline: _Deadline) -> int:
    """How many trials to train in the next batch: a few a worker, no more than time and limits allow."""
    tried = searched(setup)
    usual = BATCH_SIZES.get(setup.plan.evaluator, 4 * setup.pool.workers)
    first = RANDOM_HINTED if setup.settings.warm_start is not None else max(usual, RANDOM_TRAINED)
    return min(usual if tried else first, _in_time(setup, deadline))


def _in_time(setup: Setup, deadline: _Deadline) -> int:
    """How many trials time and limits allow, by what recent ones took."""
    left_s = deadline.left_s()
    if searched(setup) and left_s <= 0:
        # Also where nothing could be trained: pruned and failed trials cost time as well.
        return 0
    seconds = [trial.seconds["train"] for trial in setup.study.trials() if "train" in trial.seconds]
    recent = seconds[-20:] or [setup.plan.trial_s]
    room = int(left_s * setup.pool.workers / (sum(recent) / len(recent)))
    if not seconds:
        # Always something, so that even a tiny budget ends in a network.
        room = max(room, setup.pool.workers)
    if setup.settings.max_trials is not None:
        room = min(room, setup.settings.max_trials - len(seconds))
    return room


def _streaming(setup: Setup, deadline: _Deadline, strategy: Strategy, outcomes: Outcomes) -> Iterator[TrialFinished]:
    """Trials one by one until the time or the space is spent."""
    events: list[TrialFinished] = []

    def asked(number: int) -> Iterator[Trial]:
        keep_scores(setup)
        keep_diagnostics(setup, strategy)
        yield from _asked(setup, strategy, setup.settings.strategy, number, screen_now(setup))

    def room() -> int:
        # Those at work count as not begun: what is asked for waits until one of them has ended.
        return _in_time(setup, deadline) - len(setup.study.running())

    def settle(trial: Trial) -> None:
        events.append(_stored(setup, deadline, trial))
        strategy.tell([outcomes(trial)])

    for _ in streamed(setup, asked, room, settle, MOST_REPEATS):
        yield from events
        events.clear()
    yield from events


def _batch(setup: Setup, source: Strategy, origin: str, wanted: int, screen: Screen | None = None) -> Iterator[Trial]:
    """Asks and measures until `wanted` networks are worth training, within reason, then trains these."""
    yield from _evaluated(setup, _asked(setup, source, origin, wanted, screen))


def _asked(setup: Setup, source: Strategy, origin: str, wanted: int, screen: Screen | None) -> Iterator[Trial]:
    """Proposed and measured: at most `wanted` are still RUNNING, and worth training; the others have ended."""
    hopeful = asked = 0
    while hopeful < wanted and asked < MOST_MEASURED * wanted:
        missing = wanted - hopeful
        tokens = source.ask(missing if screen is None else screen.wanted(missing))
        asked += len(tokens)
        proposals = [_proposal(setup, point, origin) for point in tokens]
        hopes = list(parted(setup, screen, setup.study.propose(proposals)))
        yield from (trial for trial in hopes if trial.state is not TrialState.RUNNING)
        for trial in screened(setup, [trial for trial in hopes if trial.state is TrialState.RUNNING]):
            hopeful += trial.state is TrialState.RUNNING
            yield trial


def _evaluated(setup: Setup, measured: Iterator[Trial]) -> Iterator[Trial]:
    """Those that have ended, then the others, trained together."""
    hopeful = []
    for trial in measured:
        if trial.state is TrialState.RUNNING:
            hopeful.append(trial)
        else:
            yield trial
    yield from evaluated(setup, hopeful)


def _rest(setup: Setup) -> Iterator[Trial]:
    """The trials that an interrupted run left RUNNING."""
    yield from _evaluated(setup, screened(setup, setup.study.running()))


def _recorded(setup: Setup, deadline: _Deadline, finished: Iterator[Trial]) -> Iterator[TrialFinished]:
    """Stores each finished trial before anybody hears of it."""
    for trial in finished:
        yield _stored(setup, deadline, trial)


def _stored(setup: Setup, deadline: _Deadline, trial: Trial) -> TrialFinished:
    setup.study.finish([trial])
    everything = setup.study.trials()
    done = sum(t.state is not TrialState.RUNNING for t in everything)
    return TrialFinished(trial, best_under(everything, setup.settings.target_ms), done, deadline.left_s())


def _proposal(setup: Setup, tokens: Tokens, origin: str) -> Proposal:
    return Proposal(tokens, str(setup.architecture(tokens)), seed=setup.settings.seed, origin=origin)
