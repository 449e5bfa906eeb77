"""A study as one look at it finds it: what the page shows, as values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from nasfit.dashboard.health import Reading
from nasfit.dashboard.passing import Passing, passing_of
from nasfit.errors import UsageError
from nasfit.latency import Measurement
from nasfit.report import Story, story_of
from nasfit.study import Member, Study, Trial

# So many networks of the front are shown one by one, so many measurements tell how the device is.
MOST_SHOWN, MOST_READINGS = 12, 1000

Curve = tuple[tuple[int, float], ...]


@dataclass(frozen=True)
class Moment:
    """story: as the report tells it. members: processes at work, none where nobody drives.

    measurements: of the networks shown, by the key that their trials have. readings: of the device, oldest first.
    finals: learning curves of the final trainings by the networks' names.
    """

    story: Story
    passing: Passing
    members: tuple[Member, ...] = ()
    measurements: Mapping[str, Measurement] = field(default_factory=dict)
    readings: tuple[Reading, ...] = ()
    finals: Mapping[str, Curve] = field(default_factory=dict)

    @property
    def shown(self) -> tuple[Trial, ...]:
        """Networks of the front to show one by one, fastest first: the leader, and others evenly spread."""
        return shown_of(self.story)


class Keeper:
    """What was read of a study and does not change: its measurements."""

    def __init__(self) -> None:
        self._readings: dict[str, Reading] = {}

    def moment(self, study: Study, standing: str, members: Sequence[Member]) -> Moment:
        """Reads what is new. Raises StudyError."""
        story = story_of(study)
        finals: dict[str, Any] = study.document("finals") or {}
        return Moment(
            story=story,
            passing=passing_of(study, story, standing, finals),
            members=tuple(members),
            measurements=measurements_of(study, shown_of(story)),
            readings=self._device(study, story.trials),
            finals={name: final["curve"] for name, final in finals.items() if final.get("curve")},
        )

    def _device(self, study: Study, trials: Sequence[Trial]) -> tuple[Reading, ...]:
        keys = [trial.measurement for trial in trials if trial.measurement and trial.duplicate_of is None]
        wanted = keys[-MOST_READINGS:]
        new = study.measurements.several(key for key in wanted if key not in self._readings)
        known = self._readings | {key: reading for key, value in new.items() if (reading := Reading.of(value))}
        self._readings = {key: known[key] for key in wanted if key in known}
        return tuple(self._readings.values())


def measurements_of(study: Study, trials: Iterable[Trial]) -> dict[str, Measurement]:
    """By key, those that were made by this version."""
    found = {}
    for key, value in study.measurements.several(trial.measurement for trial in trials if trial.measurement).items():
        with suppress(UsageError):
            found[key] = Measurement.from_dict(value)
    return found


def shown_of(story: Story) -> tuple[Trial, ...]:
    """At most `MOST_SHOWN` of the front."""
    front, leader = story.front, story.leader
    if len(front) <= MOST_SHOWN:
        return front
    places = {round(place * (len(front) - 1) / (MOST_SHOWN - 1)) for place in range(MOST_SHOWN)}
    chosen = [trial for place, trial in enumerate(front) if place in places]
    if leader in front and leader not in chosen:
        nearest = min(range(len(chosen)), key=lambda place: abs(chosen[place].number - leader.number))
        chosen[nearest] = leader
    return tuple(sorted(chosen, key=lambda trial: trial.latency_ms or 0.0))
