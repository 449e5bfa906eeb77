"""Everything a report tells, as one value read from a study."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from nasfit.architecture import Architecture
from nasfit.errors import StudyError
from nasfit.objective import Goal
from nasfit.report.final_evidence import FinalEvidence, final_evidence
from nasfit.report.study_pictures import study_pictures
from nasfit.search.best_trials import best_under, front_of
from nasfit.search.detector_study import DetectorSearchSettings, winner_of
from nasfit.search.documents import DIAGNOSTICS, look_seconds
from nasfit.search.exponent import DOCUMENT as EXPONENT
from nasfit.search.exponent import exponent_text
from nasfit.search.goal import goal_of, judged
from nasfit.search.plan import Plan
from nasfit.search.proxy_check import DOCUMENT as PROXY
from nasfit.search.proxy_check import ProxyCheck
from nasfit.search.random_share import random_share
from nasfit.search.rank_agreement import Agreement
from nasfit.search.result import RandomShare, Result
from nasfit.search.score_worth import kept_scores, score_agreements, scores_wanted
from nasfit.search.settings import Settings
from nasfit.search.standing import is_ended
from nasfit.search.stopping import stopping_regret
from nasfit.search.warm_start import DOCUMENT as WARM_START
from nasfit.search.warm_start import warm_start_text
from nasfit.study import Study, Trial, TrialState


@dataclass(frozen=True)
class Story:
    """A study at one moment; page and plot are drawn from this alone.

    result: None until the finale has ended. promotions: validation accuracy (0..1) of longer trainings by architecture
    text. seconds: spent, by kind of work. notes: about the pictures, one line each. test_pictures: size of the test
    split, None where it cannot be told. looks: latencies looked up before training, and the seconds they took. proxy:
    how well short training ranked. exponent, warm_start: what was calibrated and taken over, in one sentence each.
    controller: what a PPO strategy told of each update, oldest first. stopping: what ending trainings early saved and
    may have missed, None where none may be ended. scores: how each zero-cost score that the study looks at ranks its
    trained networks, None where there is no order. fingerprint: of the pictures. final: what the finale kept beside its
    result. detectors: what a search for detectors was asked, None for classification networks; `settings` is then what
    one of those would be. winner: of such a search, see `DetectorResult`. is_ended: whether all that was asked is done.
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
    looks: tuple[int, float] = (0, 0.0)
    proxy: ProxyCheck | None = None
    exponent: str | None = None
    warm_start: str | None = None
    controller: tuple[Mapping[str, float], ...] = ()
    stopping: str | None = None
    scores: Mapping[str, Agreement | None] = field(default_factory=dict)
    fingerprint: str | None = None
    final: FinalEvidence = field(default_factory=FinalEvidence)
    detectors: DetectorSearchSettings | None = None
    winner: Mapping[str, Any] | None = None
    is_ended: bool = False

    @property
    def asked(self) -> Settings | DetectorSearchSettings:
        """The settings as they were given."""
        return self.detectors or self.settings

    @property
    def size(self) -> Plan | DetectorSearchSettings | None:
        """What tells width and resolution; None before they are known."""
        return self.detectors or self.plan

    @property
    def budget_s(self) -> float | None:
        """None for a search for detectors that was given none."""
        return self.asked.budget_s

    @property
    def measure(self) -> str:
        """What a trial's accuracy is: of detectors the mean average precision."""
        return "accuracy" if self.detectors is None else "mAP"

    @cached_property
    def stopped(self) -> tuple[Trial, ...]:
        """Trials whose training was ended early, each network once; their accuracy is the one expected at the end."""
        return tuple(t for t in self.trials if t.state is TrialState.STOPPED and t.duplicate_of is None)

    @cached_property
    def complete(self) -> tuple[Trial, ...]:
        """Trained trials, each network once, in the order of proposal."""
        return tuple(t for t in self.trials if t.state is TrialState.COMPLETE and t.duplicate_of is None)

    @cached_property
    def front(self) -> tuple[Trial, ...]:
        """The trained trials that no other dominates in validation accuracy and latency, fastest first."""
        return tuple(front_of(self.trials))

    @property
    def value_name(self) -> str:
        """What a trial's reward is called: serving a front, it is the accuracy."""
        return "reward" if self.settings.front_from_ms is None else "accuracy"

    @cached_property
    def leader(self) -> Trial | None:
        """The trial of highest validation accuracy under the limit."""
        return best_under(self.trials, self.settings.target_ms)

    @cached_property
    def random(self) -> RandomShare:
        """What random points reached: of the result, or of the trials so far."""
        return self.result.random if self.result else random_share(list(self.trials))

    @property
    def network(self) -> str | None:
        """Text of the network the report describes: the one handed over, before the finale the leader."""
        if self.result:
            return None if self.result.best is None else self.result.contenders[self.result.best].architecture
        if self.winner:
            return str(self.winner["detector"])
        return self.leader.architecture if self.leader else None


def story_of(study: Study) -> Story:
    """Reads an opened study, finished or not. Raises StudyError for documents of another version."""
    try:
        detectors = DetectorSearchSettings.of_study(study.settings)
        settings = Settings.of_study(study.settings) if detectors is None else detectors.as_search()
        stored = study.document("plan")
        plan = Plan(**stored) if stored else None
    except TypeError as error:
        raise StudyError(f"the study in {study.path} does not read ({error}); it may be of another version") from None
    document, proxy = study.document("result"), study.document(PROXY)
    exponent, warm_start = study.document(EXPONENT), study.document(WARM_START)
    goal = goal_of(settings, exponent["exponent"] if exponent else None)
    pictures = study_pictures(study)
    result = Result.from_json(document) if document else None
    trials = tuple(judged(study.trials(), goal))
    return Story(
        title=study.path.absolute().name,
        settings=settings,
        plan=plan,
        trials=trials,
        result=result,
        promotions=dict(study.document("promotions") or {}),
        seconds=study.seconds(),
        notes=pictures.notes,
        test_pictures=None if pictures.data is None else len(pictures.data.test),
        looks=(len(study.lookups.all()), look_seconds(study)),
        proxy=ProxyCheck.from_json(proxy) if proxy else None,
        exponent=exponent_text(exponent) if exponent else None,
        warm_start=warm_start_text(warm_start) if warm_start else None,
        controller=tuple(study.document(DIAGNOSTICS) or ()),
        scores=score_agreements(trials, kept_scores(study), scores_wanted(settings)),
        stopping=None if settings.stopping == "none" else _stopping(trials, goal),
        fingerprint=pictures.fingerprint,
        final=final_evidence(study, result, pictures.data),
        detectors=detectors,
        winner=winner_of(study.path) if detectors else None,
        is_ended=is_ended(study),
    )


def _stopping(trials: Sequence[Trial], goal: Goal) -> str:
    """Beside a front its area counts, above the accuracy of guessing."""
    chance = 1 / Architecture.parse(trials[0].architecture).classes if trials else 0.0
    return str(stopping_regret(trials, goal, floor=chance))
