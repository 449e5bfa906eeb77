"""Learning curves as inline SVG: the training loss over pictures seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from markupsafe import Markup

from nasfit.dashboard.moment import Curve
from nasfit.report.svg import Frame, drawing, element, path, spread
from nasfit.study import Trial

HEIGHT = 340.0
# The newest; older ones would be a black cloud.
MOST_CURVES = 60


def trials_curves(trials: Sequence[Trial], front: Sequence[Trial], leader: Trial | None) -> Markup | None:
    """The newest trials faint, those of the front strong; None where no curve is kept."""
    strong = {trial.number for trial in front}
    some = [trial for trial in trials if trial.curve and trial.duplicate_of is None and trial.number not in strong]
    shown = [*some[-MOST_CURVES:], *(trial for trial in front if trial.curve)]
    if not shown:
        return None
    frame = _frame([trial.curve for trial in shown])
    body = frame.axes("pictures seen", "training loss")
    for trial in shown:
        best = leader is not None and trial.number == leader.number
        kind = "line found" if best else "line own" if trial.number in strong else "line faint"
        body += _curve(frame, trial.curve, kind, f"trial {trial.number}")
    return drawing("curves", "Training loss of the newest trials over pictures seen", body, height=HEIGHT)


def finals_curves(finals: Mapping[str, Curve]) -> Markup | None:
    """Of the final trainings, with their names; None where there is none yet."""
    if not finals:
        return None
    frame = _frame(list(finals.values()))
    body = frame.axes("pictures seen", "training loss")
    for name, curve in finals.items():
        body += _curve(frame, curve, f"line {_side(name)}", name)
    return drawing("finals", "Training loss of the final trainings over pictures seen", body, height=HEIGHT)


def one_curve(trial: Trial) -> Markup | None:
    """Of one trial; None where none is kept."""
    if not trial.curve:
        return None
    frame = _frame([trial.curve])
    body = frame.axes("pictures seen", "training loss") + _curve(
        frame, trial.curve, "line found", f"trial {trial.number}"
    )
    return drawing("curve", "Training loss over pictures seen", body, height=HEIGHT)


def _side(name: str) -> str:
    return "found" if name.startswith("found") else "baseline"


def _frame(curves: Sequence[Curve]) -> Frame:
    images = [images for curve in curves for images, _ in curve]
    losses = [loss for curve in curves for _, loss in curve]
    return Frame.around((0.0, 1.02 * max(images)), spread(losses), height=HEIGHT)


def _curve(frame: Frame, curve: Curve, kind: str, name: str) -> Markup:
    line = path([(frame.x(images), frame.y(loss)) for images, loss in curve], kind)
    return element("g", element("title", name), line)
