"""Inline SVG: elements, scales, and the frame with axes that every chart shares."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

WIDTH, HEIGHT = 760.0, 400.0
LEFT, RIGHT, TOP, BOTTOM = 74.0, 20.0, 18.0, 52.0


def element(tag: str, *children: str, **attributes: object) -> Markup:
    """One element; text is escaped, floats are rounded to 0.1 px, `class_` and `stroke_width` name attributes."""
    inside = Markup("").join(children)
    words = Markup("").join(
        Markup(' {}="{}"').format(Markup(name.rstrip("_").replace("_", "-")), _plain(value))
        for name, value in attributes.items()
    )
    return Markup("<{0}{1}>{2}</{0}>").format(Markup(tag), words, inside)


@dataclass(frozen=True)
class Scale:
    """Linear map of values low..high to pixels start..end."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """The value's place in pixels."""
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)

    def ticks(self, about: int = 6) -> list[float]:
        """Round values inside low..high."""
        raw = (self.high - self.low) / about
        power = 10.0 ** math.floor(math.log10(raw))
        step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= raw)
        first = math.ceil(self.low / step - 1e-9)
        return [round(i * step, 12) for i in range(first, math.floor(self.high / step + 1e-9) + 1)]


def spread(values: Iterable[float], *, margin: float = 0.06, floor: float | None = None) -> tuple[float, float]:
    """Smallest and largest value with a margin, never of no width; from `floor` on where that is near."""
    known = list(values)
    low, high = min(known), max(known)
    room = (high - low) * margin or abs(high) * margin or 1.0
    if floor is not None and low - room < floor + 0.4 * (high - floor):
        return floor, high + room
    return low - room, high + room


@dataclass(frozen=True)
class Frame:
    """The plotting area of one chart with its two scales."""

    x: Scale
    y: Scale
    width: float = WIDTH
    height: float = HEIGHT

    @classmethod
    def around(cls, x: tuple[float, float], y: tuple[float, float], height: float = HEIGHT) -> Frame:
        """A frame for these ranges."""
        return cls(Scale(*x, LEFT, WIDTH - RIGHT), Scale(*y, height - BOTTOM, TOP), WIDTH, height)

    def axes(self, x_label: str, y_label: str, y_factor: float = 1.0) -> Markup:
        """Grid, tick labels and axis titles; y ticks are shown times `y_factor`."""
        left, right, bottom, top = self.x.start, self.x.end, self.y.start, self.y.end
        parts = []
        shown = Scale(self.y.low * y_factor, self.y.high * y_factor, self.y.start, self.y.end)
        for tick in shown.ticks():
            at = shown(tick)
            parts.append(element("line", class_="grid", x1=left, x2=right, y1=at, y2=at))
            parts.append(text(left - 8, at + 4, f"{tick:g}", anchor="end", class_="tick"))
        for tick in self.x.ticks(8):
            at = self.x(tick)
            parts.append(element("line", class_="axis", x1=at, x2=at, y1=bottom, y2=bottom + 5))
            parts.append(text(at, bottom + 20, f"{tick:g}", anchor="middle", class_="tick"))
        parts.append(element("line", class_="axis", x1=left, x2=right, y1=bottom, y2=bottom))
        parts.append(text((left + right) / 2, self.height - 8, x_label, anchor="middle", class_="label"))
        middle = (top + bottom) / 2
        turned = f"rotate(-90 16 {middle:.1f})"
        parts.append(text(16, middle, y_label, anchor="middle", class_="label", transform=turned))
        return Markup("").join(parts)

    def limit(self, target_ms: float) -> Markup:
        """The vertical line of the latency limit, labelled at its top."""
        if not self.x.low <= target_ms <= self.x.high:
            return Markup("")
        at = self.x(target_ms)
        line = element("line", class_="limit", x1=at, x2=at, y1=self.y.start, y2=self.y.end)
        anchor, shift = ("end", -6) if at > (self.x.start + self.x.end) / 2 else ("start", 6)
        label = f"limit {target_ms:g} ms"
        return line + text(at + shift, self.y.end + 10, label, anchor=anchor, class_="note halo")


def text(x: float, y: float, words: str, *, anchor: str = "start", class_: str = "tick", **more: object) -> Markup:
    """A line of text."""
    return element("text", words, x=x, y=y, text_anchor=anchor, class_=class_, **more)


def path(points: Sequence[tuple[float, float]], class_: str) -> Markup:
    """A polyline."""
    return element("path", d="M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points), class_=class_)


def dots(points: Sequence[tuple[float, float]], class_: str) -> Markup:
    """Many points as one element: small, without tooltips."""
    return element("path", d="".join(f"M{x:.1f} {y:.1f}h0" for x, y in points), class_=f"{class_} dots")


def drawing(name: str, title: str, body: Markup, *, height: float = HEIGHT) -> Markup:
    """The whole picture, for screen readers one image called `title`. name: unique on the page."""
    heading = element("title", title, id=f"{name}-title")
    box = f"0 0 {WIDTH:g} {height:g}"
    return element("svg", heading, body, viewBox=box, role="img", aria_labelledby=f"{name}-title", class_="chart")


def _plain(value: object) -> Markup:
    return escape(f"{value:.1f}" if isinstance(value, float) else value)
