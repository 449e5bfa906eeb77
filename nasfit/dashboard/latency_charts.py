"""Measured latencies as inline SVG: how the samples of each network spread, and one network's in order of time."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from nasfit.latency import Measurement
from nasfit.report.marks import Point, mark
from nasfit.report.svg import BOTTOM, LEFT, RIGHT, WIDTH, Frame, Scale, dots, drawing, element, path, spread, text
from nasfit.report.wording import digits, interval, ms

ROW, NAMES = 30.0, 210.0
# Share of the headline, beyond which samples are drawn at the edge.
LEAST_RANGE, MOST_RANGE = 0.05, 0.25


def counted_samples(measurement: Measurement) -> tuple[float, ...]:
    """The samples of the time that the headline is taken from, ms."""
    return measurement.wall_samples_ms if measurement.statistic == "wall time" else measurement.cpu_samples_ms


def spread_chart(rows: Sequence[tuple[str, Measurement]]) -> Markup | None:
    """A row a network, by its name: each sample, and the 95 % interval, in percent of the network's latency."""
    if not rows:
        return None
    beyond = sorted(sample / one.latency_ms - 1 for _, one in rows for sample in counted_samples(one))
    # All but the last twentieth of the samples fit.
    high = min(MOST_RANGE, max(LEAST_RANGE, 1.1 * beyond[int(0.95 * (len(beyond) - 1))]))
    low = min(-0.02, max(-LEAST_RANGE, 1.1 * beyond[0]))
    height = len(rows) * ROW + BOTTOM
    x = Scale(100 * low, 100 * high, NAMES, WIDTH - RIGHT)
    body = _ruler(x, height)
    for place, (name, measurement) in enumerate(rows):
        body += _row(x, place * ROW + ROW / 2, name, measurement)
    return drawing("spread", "Spread of each network's latency samples around its latency", body, height=height)


def samples_chart(measurement: Measurement) -> Markup:
    """Each sample of one network in order of time, its latency and 95 % interval."""
    samples = counted_samples(measurement)
    frame = Frame.around(
        (0.0, len(samples) + 1.0), spread([*samples, measurement.low_ms, measurement.high_ms], margin=0.1), height=260.0
    )
    body = frame.axes("sample, in order of time", "latency, ms")
    top, bottom = frame.y(measurement.high_ms), frame.y(measurement.low_ms)
    tip = element("title", f"95 % interval: {interval(measurement.low_ms, measurement.high_ms)}")
    left, width = frame.x.start, frame.x.end - frame.x.start
    body += element("rect", tip, class_="band", x=left, y=top, width=width, height=max(1.0, bottom - top))
    at = frame.y(measurement.latency_ms)
    body += path([(left, at), (frame.x.end, at)], "line found")
    body += _samples([(frame.x(place), frame.y(sample)) for place, sample in enumerate(samples, start=1)])
    return drawing("samples", "Latency of each sample in order of time", body, height=260.0)


def _ruler(x: Scale, height: float) -> Markup:
    bottom, body = height - BOTTOM, Markup("")
    for tick in x.ticks(8):
        body += element("line", class_="grid", x1=x(tick), x2=x(tick), y1=0.0, y2=bottom)
        body += text(x(tick), bottom + 18, f"{tick:g}", anchor="middle")
    body += element("line", class_="axis", x1=x(0.0), x2=x(0.0), y1=0.0, y2=bottom)
    middle = (x.start + x.end) / 2
    return body + text(middle, height - 8, "% above the network's latency", anchor="middle", class_="label")


def _row(x: Scale, y: float, name: str, one: Measurement) -> Markup:
    places = [100 * (sample / one.latency_ms - 1) for sample in counted_samples(one)]
    edge = [min(max(place, x.low), x.high) for place in places]
    low, high = (100 * (end / one.latency_ms - 1) for end in (one.low_ms, one.high_ms))
    start, end = (x(min(max(place, x.low), x.high)) for place in (low, high))
    words = f"{name}: {ms(one.latency_ms)}, {interval(one.low_ms, one.high_ms)} (95 %), {len(places)} samples"
    bar = element(
        "rect", element("title", words), class_="band", x=start, y=y - 8, width=max(1.5, end - start), height=16.0
    )
    label = text(LEFT - 66, y + 4, name, class_="label") + text(
        NAMES - 14, y + 4, f"{digits(one.latency_ms)} ms", anchor="end"
    )
    return label + bar + _samples([(x(place), y) for place in edge]) + mark((x(0.0), y), "found", words, 4.0)


def _samples(points: Sequence[Point]) -> Markup:
    return dots(points, "sample")
