"""Trials as rows, the newest first, each leading to its own page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from markupsafe import Markup

from nasfit.latency import Measurement
from nasfit.report import Story
from nasfit.report.tables import Table
from nasfit.report.wording import duration, interval, ms, percent, value
from nasfit.study import Trial


def link(trial: Trial, words: str | None = None) -> Markup:
    """To the trial's page."""
    return Markup('<a href="/trial/{}">{}</a>').format(trial.number, words or str(trial.number))


def trials_table(trials: Sequence[Trial], caption: str, story: Story) -> Table:
    """Rows in the order given."""
    figures = (f"validation {story.measure}", "latency", story.value_name)
    heads = ("trial", "state", *figures, "proposed by", "ended, UTC", "why")
    return Table(caption, heads, tuple(_row(trial) for trial in trials), frozenset((2, 3, 4)))


def front_table(trials: Sequence[Trial], measurements: Mapping[str, Measurement], story: Story) -> Table:
    """Networks of the front with the 95 % intervals of their latencies."""
    leader, rows = story.leader, []
    for trial in trials:
        known = measurements.get(trial.measurement or "")
        told = "not kept" if known is None else interval(known.low_ms, known.high_ms)
        doubt = "" if known is None else ", ".join(warning.partition(":")[0] for warning in known.warnings)
        rows.append((link(trial), percent(trial.accuracy), ms(trial.latency_ms), told, doubt))
    numbers = [trial.number for trial in trials]
    return Table(
        caption=f"Networks of the front, fastest first; validation {story.measure} after proxy training",
        heads=("trial", f"validation {story.measure}", "latency", "95 % interval", "doubts"),
        rows=tuple(rows),
        numbers=frozenset((1, 2, 3)),
        strong=numbers.index(leader.number) if leader is not None and leader.number in numbers else None,
    )


def facts(trial: Trial) -> Table:
    """What is kept of a trial beside its figures."""
    told = {
        "proposed by": trial.origin or "not told",
        "began": trial.started,
        "ended": trial.finished or "not yet",
        "trained by": trial.worker or "not told",
        "seed": str(trial.seed),
        "point of the space": " ".join(map(str, trial.tokens)),
        **{f"time to {kind}": duration(seconds) for kind, seconds in trial.seconds.items()},
    }
    return Table("Kept of this trial; times are UTC", ("what", "value"), tuple(told.items()))


def _row(trial: Trial) -> tuple[str, ...]:
    again = "" if trial.duplicate_of is None else f"same network as trial {trial.duplicate_of}"
    why = "; ".join(filter(None, (again, trial.reason)))
    ended = trial.finished[11:19]
    state = trial.state.value
    told = (percent(trial.accuracy), ms(trial.latency_ms), value(trial.reward), trial.origin, ended, why)
    return link(trial), state, *told
