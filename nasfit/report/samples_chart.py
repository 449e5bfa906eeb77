"""The samples of several measurements as inline SVG: a strip a network, each relative to its own latency."""

from __future__ import annotations

from collections.abc import Mapping

from markupsafe import Markup

from nasfit.latency import Measurement
from nasfit.latency.measurement import clean_places, times
from nasfit.report.svg import WIDTH, Scale, drawing, element, text
from nasfit.report.wording import MINUS, ms, share

LEFT, RIGHT, TOP, BOTTOM = 222.0, 90.0, 8.0, 44.0
ROW, STRIP = 40.0, 30.0
# Of the latency: what lies beyond is counted at the end of its strip.
LOWEST, HIGHEST = -0.05, 0.25


def samples_chart(
    latencies: Mapping[str, Measurement], *, name: str = "samples", told: str = "the final measurement"
) -> Markup | None:
    """Fastest network first; within a strip the first sample is at the top. None without any measurement.

    name: unique on the page. told: what the samples are of.
    """
    if not latencies:
        return None
    x = Scale(LOWEST, HIGHEST, LEFT, WIDTH - RIGHT)
    order = sorted(latencies.items(), key=lambda item: item[1].latency_ms)
    bottom = TOP + len(order) * ROW
    body = _axis(x, bottom)
    for place, (network, measurement) in enumerate(order):
        body += _strip(x, TOP + place * ROW + (ROW - STRIP) / 2, network, measurement)
    title = f"Every sample of {told}, by network, relative to the network's latency"
    return drawing(name, title, body, height=bottom + BOTTOM)


def _axis(x: Scale, bottom: float) -> Markup:
    body = Markup("")
    for tick in x.ticks(6):
        kind = "axis" if abs(tick) < 1e-9 else "grid"
        body += element("line", class_=kind, x1=x(tick), x2=x(tick), y1=TOP, y2=bottom)
        body += text(x(tick), bottom + 18, _signed(tick) if tick else "latency", anchor="middle")
    middle = (x.start + x.end) / 2
    return body + text(middle, bottom + 38, "sample against the network's latency", anchor="middle", class_="label")


def _signed(tick: float) -> str:
    return f"{100 * tick:+.0f} %".replace("-", MINUS)


def _strip(x: Scale, top: float, name: str, measurement: Measurement) -> Markup:
    samples = measurement.samples
    relative = [value / measurement.latency_ms - 1 for value in times(samples, measurement.statistic)]
    clean = set(clean_places(samples))
    low, high = (x(max(LOWEST, end / measurement.latency_ms - 1)) for end in (measurement.low_ms, measurement.high_ms))
    band = element("rect", class_="band", x=low, y=top, width=max(1.0, high - low), height=STRIP)
    step = STRIP / max(1, len(relative) - 1)
    places = {place: (x(min(max(value, LOWEST), HIGHEST)), top + place * step) for place, value in enumerate(relative)}
    body = text(LEFT - 12, top + 12, name, anchor="end", class_="note") + band
    body += text(LEFT - 12, top + 28, ms(measurement.latency_ms), anchor="end")
    for kind, among in (("disturbed", places.keys() - clean), ("clean", places.keys() & clean)):
        marks = "".join(f"M{places[place][0]:.1f} {places[place][1]:.1f}h0" for place in sorted(among))
        body += element("path", class_=f"sample {kind}", d=marks) if marks else Markup("")
    beyond = sum(value > HIGHEST for value in relative)
    words = f"{share(measurement.clean_share)} clean"
    body += text(WIDTH - RIGHT + 12, top + 12, words)
    return body + (text(WIDTH - RIGHT + 12, top + 28, f"{beyond} beyond") if beyond else Markup(""))
