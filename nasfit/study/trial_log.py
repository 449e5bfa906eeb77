"""The study's trials in memory, as the database has them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from sqlalchemy import Connection, select

from nasfit.errors import UsageError
from nasfit.study.tables import TRIALS, trial_of
from nasfit.study.trial import Proposal, Trial, TrialState


class TrialLog:
    """Trials by number, and the batches they were finished in."""

    def __init__(self, connection: Connection) -> None:
        """Raises ValueError where the rows are not the trials of one study."""
        self._trials: list[Trial] = []
        self._batches: list[list[int]] = []
        self._first: dict[str, list[int]] = {}
        self.catch_up(connection)

    def catch_up(self, connection: Connection) -> None:
        """Takes in what others have stored since: trials that are new, or have ended. Raises ValueError as above."""
        known, batches = len(self._trials), len(self._batches)
        later = (TRIALS.c.number >= known) | (TRIALS.c.batch >= batches)
        rows = list(connection.execute(select(TRIALS).where(later).order_by(TRIALS.c.number)))
        trials = [trial_of(row) for row in rows]
        new = [trial for trial in trials if trial.number >= known]
        if [trial.number for trial in new] != list(range(known, known + len(new))):
            raise ValueError("trials are missing")
        self.add(new)
        for trial in trials:
            self._trials[trial.number] = trial
        last = None
        for batch, _, number in sorted((row.batch, row.place, row.number) for row in rows if row.batch is not None):
            if batch != last:
                self._batches.append([])
                last = batch
            self._batches[-1].append(number)

    def trials(self, states: Collection[TrialState] | None) -> list[Trial]:
        """In the order of their numbers."""
        return [trial for trial in self._trials if states is None or trial.state in states]

    def batches(self) -> list[list[Trial]]:
        """In the order of finishing."""
        return [[self._trials[number] for number in batch] for batch in self._batches]

    def with_architecture(self, text: str) -> list[Trial]:
        """All trials of a network, oldest first."""
        return [self._trials[number] for number in self._first.get(text, [])]

    def numbered(self, proposals: Sequence[Proposal], started: str) -> list[Trial]:
        """The trials that the proposals become; `add` them once they are stored."""
        return [
            Trial(
                number=number,
                tokens=tuple(int(token) for token in proposal.tokens),
                architecture=proposal.architecture,
                seed=int(proposal.seed),
                origin=proposal.origin,
                versions=dict(proposal.versions),
                started=started,
            )
            for number, proposal in enumerate(proposals, start=len(self._trials))
        ]

    def add(self, trials: Sequence[Trial]) -> None:
        """Take in stored trials."""
        for trial in trials:
            self._first.setdefault(trial.architecture, []).append(trial.number)
        self._trials.extend(trials)

    def dated(self, trials: Sequence[Trial], finished: str) -> list[Trial]:
        """The trials with their time of finishing; `settle` them once they are stored.

        Raises UsageError unless each is a RUNNING trial of this study, comes once, and has another state now.
        """
        for trial in trials:
            own = self._trials[trial.number] if 0 <= trial.number < len(self._trials) else None
            if own is None or _identity(own) != _identity(trial):
                raise UsageError(f"trial {trial.number} was not proposed by this study; finish what propose() returned")
            if own.state is not TrialState.RUNNING:
                raise UsageError(f"trial {trial.number} is {own.state} already; finish each trial once")
            if trial.state is TrialState.RUNNING:
                raise UsageError(f"trial {trial.number} is still running; give it the state it ended in")
        if len({trial.number for trial in trials}) != len(trials):
            raise UsageError("a trial comes twice in one batch; finish each trial once")
        return [replace(trial, finished=trial.finished or finished) for trial in trials]

    def settle(self, trials: Sequence[Trial]) -> None:
        """Take in a batch of finished trials."""
        for trial in trials:
            self._trials[trial.number] = trial
        self._batches.append([trial.number for trial in trials])

    @property
    def next_batch(self) -> int:
        """Number of the batch that will be finished next, from 0."""
        return len(self._batches)


def _identity(trial: Trial) -> tuple[object, ...]:
    return trial.tokens, trial.architecture, trial.seed
