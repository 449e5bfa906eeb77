"""The device over the study's measurements as inline SVG: how much of each was disturbed, how fast its memory was."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from nasfit.dashboard.health import Reading
from nasfit.latency.doubts import CLEAN_SHARE_WANTED
from nasfit.report.svg import LEFT, RIGHT, WIDTH, Scale, dots, drawing, element, spread, text

PANEL, TOP, BOTTOM = 130.0, 24.0, 18.0


def device_chart(readings: Sequence[Reading]) -> Markup | None:
    """A dot a measurement, in order: its undisturbed samples and, where there is a probe, the probe's best time."""
    if not readings:
        return None
    x = Scale(*spread(range(1, len(readings) + 1), margin=0.02), LEFT, WIDTH - RIGHT)
    clean = [100 * reading.clean_share for reading in readings]
    body = _panel(x, 0.0, "undisturbed samples of each measurement, %", clean, (0.0, 100.0))
    at = Scale(0.0, 104.0, PANEL - BOTTOM, TOP)(100 * CLEAN_SHARE_WANTED)
    body += element("line", class_="limit", x1=x.start, x2=x.end, y1=at, y2=at)
    probes = [reading.best_probe_ms for reading in readings]
    told = [probe for probe in probes if probe is not None]
    height = PANEL
    if len(told) == len(probes):
        body += _panel(
            x, PANEL, "memory probe at its best, ms: a drift is the device's, not the networks'", told, (0.0,)
        )
        height += PANEL
    for tick in x.ticks(8):
        if tick == int(tick):
            body += text(x(tick), height + 2, f"{tick:g}", anchor="middle")
    body += text((x.start + x.end) / 2, height + 22, "measurement, oldest first", anchor="middle", class_="label")
    return drawing("device-chart", "The device over the study's measurements", body, height=height + 30)


def _panel(x: Scale, top: float, title: str, values: Sequence[float], within: Sequence[float]) -> Markup:
    _, high = spread([*values, *within], margin=0.04)
    y = Scale(0.0, high, top + PANEL - BOTTOM, top + TOP)
    body = text(x.start, top + 14, title, class_="note")
    for tick in y.ticks(3):
        body += element("line", class_="grid", x1=x.start, x2=x.end, y1=y(tick), y2=y(tick))
        body += text(x.start - 8, y(tick) + 4, f"{tick:g}", anchor="end")
    return body + dots([(x(place), y(value)) for place, value in enumerate(values, start=1)], "sample")
