"""Where a study stands: its stage, the time and the trials that are spent and left."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from nasfit.report import Story
from nasfit.report.headline import Tile
from nasfit.report.wording import counted, duration
from nasfit.search.detector_study import winner_begun
from nasfit.search.plan import search_left_s
from nasfit.search.standing import FINISHED, RUNNING
from nasfit.study import Study, TrialState

# Fewer trained trials say little about how long the next will take.
FEWEST = 3
STARTING, SEARCH, PROMOTION, TRAINING, MEASURING = (
    "preparation and calibration",
    "search",
    "promotion",
    "final training",
    "final measuring",
)


@dataclass(frozen=True)
class Passing:
    """standing: `running`, `finished` or `interrupted`. stage: what is done now, or was when it ended.

    done, of: of the stage's trainings, where it has a known number. spent_s, left_s: of the budget, by what the study
    has recorded; left_s None without one. trials_left: to be trained in the search, about; None where nothing tells.
    """

    standing: str
    stage: str
    spent_s: float
    left_s: float | None
    done: int = 0
    of: int | None = None
    trials_left: int | None = None

    @property
    def words(self) -> str:
        """One sentence."""
        if self.standing == FINISHED:
            return "Finished."
        how = "Running" if self.standing == RUNNING else "Interrupted"
        part = "" if self.of is None else f", {self.done} of {counted(self.of, 'network')} trained"
        return f"{how}: {self.stage}{part}."


def passing_of(study: Study, story: Story, standing: str, finals: Mapping[str, Any]) -> Passing:
    """Of a study just read. finals: its document of that name. Raises StudyError."""
    stage, done, of = _stage(study, story, finals)
    spent_s = sum(story.seconds.values())
    if stage == TRAINING:
        # Counted into the study's seconds only when all of them have ended.
        own_s = sum(final.get("seconds", 0.0) for final in finals.values())
        spent_s += own_s / max(1, sum(member.workers for member in study.members.all()))
    left_s = None if story.budget_s is None else max(0.0, story.budget_s - spent_s)
    return Passing(standing, stage, spent_s, left_s, done, of, _trials_left(story) if stage == SEARCH else None)


def tiles(passing: Passing, story: Story) -> Iterator[Tile]:
    """The figures of a study on its way."""
    number = Counter(trial.state for trial in story.trials)
    told = ", ".join(f"{number[state]:,} {word}" for state, word in _WORDS.items() if number[state])
    yield Tile("Trials", f"{len(story.trials):,}", told or "none yet")
    if passing.trials_left is not None and passing.standing != FINISHED:
        pace = 60 * _trained(story) / story.seconds["search"]
        yield Tile("Trials left", f"about {passing.trials_left:,}", f"{pace:.1f} trained a minute of search")
    budget = "no budget is set" if story.budget_s is None else f"of a budget of {duration(story.budget_s)}"
    yield Tile("Time spent", duration(passing.spent_s), budget)
    if passing.standing != FINISHED and passing.left_s is not None:
        left = duration(passing.left_s) if passing.left_s else "none"
        yield Tile("Time left", left, "of the budget, final trainings included")


_WORDS = {
    TrialState.COMPLETE: "trained",
    TrialState.STOPPED: "stopped",
    TrialState.PRUNED: "pruned",
    TrialState.FAILED: "failed",
    TrialState.RUNNING: "running",
}


def _stage(study: Study, story: Story, finals: Mapping[str, Any]) -> tuple[str, int, int | None]:
    if story.detectors is not None:
        return (TRAINING, int(story.winner is not None), 1) if winner_begun(study.path) else (SEARCH, 0, None)
    if story.plan is None:
        return STARTING, 0, None
    # A finale is of so many trained trials, and over where there are more.
    if study.document("finale_after") != sum(trial.state is TrialState.COMPLETE for trial in story.trials):
        return SEARCH, 0, None
    entrants = study.document("entrants")
    if study.document("final_images") is None or not entrants:
        return PROMOTION, 0, None
    return (TRAINING if len(finals) < len(entrants) else MEASURING), len(finals), len(entrants)


def _trials_left(story: Story) -> int | None:
    trained, searched_s, most = _trained(story), story.seconds.get("search", 0.0), story.settings.max_trials
    if trained < FEWEST or searched_s <= 0:
        return None
    # Of detectors the tried count, of networks the trained.
    done = len(story.trials) if story.detectors else trained
    limits = [] if most is None else [max(0, most - done)]
    if story.budget_s is not None:
        left_s = search_left_s(story.seconds, story.budget_s)
        limits.append(max(0, round(left_s * trained / searched_s)))
    return min(limits, default=None)


def _trained(story: Story) -> int:
    return len(story.complete) if story.detectors else sum("train" in trial.seconds for trial in story.trials)
