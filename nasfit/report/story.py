"""Everything a report tells, as one value read from a study."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from nasfit.errors import DataError, StudyError
from nasfit.objective import pareto_front
from nasfit.search import Plan, Result, Settings, best_under
from nasfit.search.random_share import random_share
from nasfit.search.result import RandomShare
from nasfit.study import Study, Trial, TrialState
from nasfit.tasks import open_saved


@dataclass(frozen=True)
class Story:
    """A study at one moment; page and plot are drawn from this alone.

    result: None until the finale has ended. promotions: validation accuracy (0..1) of longer trainings by architecture
    text. seconds: spent, by kind of work. notes: about the pictures, one line each. test_pictures: size of the test
    split, None where it cannot be told.
    """

    title: str
    settings: Settings
    plan: Plan | None = None
    trials: tuple[Trial, ...] = ()
    result: Result | None = None
    promotions: Mapping[str, float] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    test_pictures: int | None = None

    @property
    def complete(self) -> tuple[Trial, ...]:
        """Trained trials, each network once, in the order of proposal."""
        return tuple(t for t in self.trials if t.state is TrialState.COMPLETE and t.duplicate_of is None)

    @property
    def front(self) -> tuple[Trial, ...]:
        """The trained trials that no other dominates in validation accuracy and latency, fastest first."""
        complete = self.complete
        pairs = [(trial.accuracy or 0.0, trial.latency_ms or 0.0) for trial in complete]
        return tuple(complete[index] for index in pareto_front(pairs))

    @property
    def leader(self) -> Trial | None:
        """The trial of highest validation accuracy under the limit."""
        return best_under(self.trials, self.settings.target_ms)

    @property
    def random(self) -> RandomShare:
        """What random points reached: of the result, or of the trials so far."""
        return self.result.random if self.result else random_share(list(self.trials))

    @property
    def network(self) -> str | None:
        """Text of the network the report describes: the one handed over, before the finale the leader."""
        if self.result:
            return None if self.result.best is None else self.result.contenders[self.result.best].architecture
        return self.leader.architecture if self.leader else None


def story_of(study: Study) -> Story:
    """Reads an opened study, finished or not. Raises StudyError for documents of another version."""
    try:
        settings = Settings(**study.settings)
        stored = study.document("plan")
        plan = Plan(**stored) if stored else None
    except TypeError as error:
        raise StudyError(f"the study in {study.path} does not read ({error}); it may be of another version") from None
    result = study.document("result")
    notes, test_pictures = _pictures(study)
    return Story(
        title=study.path.absolute().name,
        settings=settings,
        plan=plan,
        trials=tuple(study.trials()),
        result=Result.from_json(result) if result else None,
        promotions=dict(study.document("promotions") or {}),
        seconds=study.seconds(),
        notes=notes,
        test_pictures=test_pictures,
    )


def _pictures(study: Study) -> tuple[tuple[str, ...], int | None]:
    known: dict[str, Any] | None = study.document("data")
    if not known:
        return (), None
    try:
        data = open_saved(study.path / known["directory"])
    except DataError as error:
        return (f"the pictures of this study are not at hand: {error}",), None
    return tuple(data.notes), len(data.test.labels_N)
