"""The final comparison as inline SVG: test accuracy against latency, with intervals."""

from __future__ import annotations

from markupsafe import Markup

from nasfit.report.families import lines
from nasfit.report.marks import Point, along, labels, mark, square
from nasfit.report.story import Story
from nasfit.report.svg import Frame, drawing, element, path, spread, text
from nasfit.report.wording import interval, ms, percent
from nasfit.search.result import Contender, Result


def comparison_chart(story: Story) -> Markup | None:
    """Found networks, baselines of a family joined by a line, and the limit; None before the finale."""
    result, target_ms = story.result, story.settings.target_ms
    if result is None or not result.contenders:
        return None
    everyone = result.contenders
    ends = [end for c in everyone for end in (c.low_ms, c.high_ms)]
    limits = [limit for limit in (story.settings.front_from_ms, target_ms) if limit is not None]
    frame = Frame.around(
        spread([*ends, *limits], margin=0.1, floor=0.0), spread([c.accuracy for c in everyone], margin=0.12)
    )
    body = frame.axes("latency, ms", "test accuracy, %", 100)
    body += Markup("").join(frame.limit(limit) for limit in limits)
    joined = [[_at(frame, one) for one in line] for line in lines(result.baselines)]
    body += Markup("").join(path(line, "line baseline") for line in joined if len(line) > 1)
    for contender in sorted(everyone, key=lambda c: c.origin):
        body += _contender(frame, contender, best=_is_best(result, contender))
    body += _names(frame, result, target_ms, joined)
    return drawing("comparison", "Test accuracy against latency of the final networks", body)


def _contender(frame: Frame, contender: Contender, *, best: bool) -> Markup:
    at = _at(frame, contender)
    low, high, y = frame.x(contender.low_ms), frame.x(contender.high_ms), at[1]
    shape = f"M{low:.1f} {y:.1f}H{high:.1f}M{low:.1f} {y - 5:.1f}v10M{high:.1f} {y - 5:.1f}v10"
    kind = "found" if contender.origin == "found" else "baseline"
    bars = element("path", class_=f"line {kind}", d=shape)
    latency = f"{ms(contender.latency_ms)} ({interval(contender.low_ms, contender.high_ms)})"
    tip = f"{contender.name}: {percent(contender.accuracy)}, {latency}"
    if kind == "baseline":
        return bars + square(at, kind, tip)
    return bars + mark(at, "found best" if best else "found", tip, 8.0 if best else 6.0)


def _names(frame: Frame, result: Result, target_ms: float, joined: list[list[Point]]) -> Markup:
    """Names beside the points; the answer's is placed first."""
    order = sorted(result.contenders, key=lambda c: (not _is_best(result, c), c.origin != "found"))
    obstacles = [box for line in joined for box in along(line)]
    places = labels(frame, [c.name for c in order], [_at(frame, c) for c in order], target_ms, obstacles)
    body = Markup("")
    for contender, label in zip(order, places, strict=True):
        kind = "found-text" if contender.origin == "found" else "baseline-text"
        strong = " strong" if _is_best(result, contender) else ""
        body += text(label.x, label.y + 4, label.words, class_=f"note halo {kind}{strong}")
    return body


def _at(frame: Frame, contender: Contender) -> Point:
    return frame.x(contender.latency_ms), frame.y(contender.accuracy)


def _is_best(result: Result, contender: Contender) -> bool:
    return result.best is not None and contender is result.contenders[result.best]
