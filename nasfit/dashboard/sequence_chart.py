"""One network's latency samples in order of time, as inline SVG."""

from __future__ import annotations

from markupsafe import Markup

from nasfit.latency import Measurement
from nasfit.latency.measurement import clean_places, times
from nasfit.report.svg import Frame, drawing, element, path, spread
from nasfit.report.wording import interval

HEIGHT = 260.0


def sequence_chart(measurement: Measurement) -> Markup:
    """A dot a sample, clean or disturbed; the latency as a line, its 95 % interval as a band."""
    samples = times(measurement.samples, measurement.statistic)
    ends = (measurement.low_ms, measurement.high_ms)
    frame = Frame.around((0.0, len(samples) + 1.0), spread([*samples, *ends], margin=0.1), height=HEIGHT)
    body = frame.axes("sample, in order of time", "latency, ms")
    low, high, middle = (frame.y(ms) for ms in (*ends, measurement.latency_ms))
    left, right = frame.x.start, frame.x.end
    tip = element("title", f"95 % interval: {interval(*ends)}")
    body += element("rect", tip, class_="band", x=left, y=high, width=right - left, height=max(1.0, low - high))
    body += path([(left, middle), (right, middle)], "line found")
    clean = set(clean_places(measurement.samples))
    for kind, among in (("disturbed", set(range(len(samples))) - clean), ("clean", clean)):
        marks = "".join(f"M{frame.x(place + 1):.1f} {frame.y(samples[place]):.1f}h0" for place in sorted(among))
        body += element("path", class_=f"sample {kind}", d=marks) if marks else Markup("")
    return drawing("sequence", "Latency of each sample in order of time", body, height=HEIGHT)
