"""What the PPO controller told of its updates as inline SVG: small charts side by side, one a quantity."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from nasfit.report.story import Story
from nasfit.report.svg import WIDTH, Scale, drawing, element, path, spread, text

COLUMNS, PANEL_HEIGHT = 3, 168.0
LEFT, RIGHT, TOP, BOTTOM = 50.0, 12.0, 30.0, 28.0

Updates = Sequence[Mapping[str, float]]


@dataclass(frozen=True)
class _Panel:
    """One quantity; keys with the class of their lines, the first drawn last. within: a range always shown."""

    title: str
    keys: tuple[tuple[str, str], ...]
    within: tuple[float, ...] = ()


PANELS = (
    _Panel("entropy, nats a decision", (("entropy", "found"),), (0.0,)),
    _Panel("KL of an update, nats", (("kl", "found"),), (0.0,)),
    _Panel("share of ratios clipped", (("clip_fraction", "found"),), (0.0,)),
    _Panel("reward: batch (dots), baseline", (("baseline", "found"), ("mean_reward", "dots"))),
    _Panel("share of new networks proposed", (("new", "found"),), (0.0, 1.0)),
)


def controller_chart(story: Story) -> Markup | None:
    """Entropy, KL, clipping, rewards and novelty over the outcomes told; None where no controller told any."""
    updates = story.controller
    if not updates:
        return None
    told = [update["told"] for update in updates]
    width = WIDTH / COLUMNS
    body = Markup("")
    for place, panel in enumerate(PANELS):
        left, top = place % COLUMNS * width, place // COLUMNS * PANEL_HEIGHT
        x = Scale(*spread(told, margin=0.03), left + LEFT, left + width - RIGHT)
        values = [update[key] for key, _ in panel.keys for update in updates]
        y = Scale(*spread([*values, *panel.within], margin=0.08), top + PANEL_HEIGHT - BOTTOM, top + TOP)
        body += text(left + LEFT, top + 16, panel.title, class_="note") + _axes(x, y) + _lines(panel, updates, x, y)
    rows = -(-len(PANELS) // COLUMNS)
    title = "The controller's updates over the outcomes told: entropy, KL, clipping, rewards, new networks"
    return drawing("controller", title, body, height=rows * PANEL_HEIGHT)


def _axes(x: Scale, y: Scale) -> Markup:
    body = Markup("")
    for tick in y.ticks(3):
        body += element("line", class_="grid", x1=x.start, x2=x.end, y1=y(tick), y2=y(tick))
        body += text(x.start - 6, y(tick) + 4, f"{tick:g}", anchor="end")
    for tick in x.ticks(3):
        body += text(x(tick), y.start + 16, f"{tick:g}", anchor="middle")
    return body + element("line", class_="axis", x1=x.start, x2=x.end, y1=y.start, y2=y.start)


def _lines(panel: _Panel, updates: Updates, x: Scale, y: Scale) -> Markup:
    body = Markup("")
    for key, kind in reversed(panel.keys):
        points = [(x(update["told"]), y(update[key])) for update in updates]
        if kind == "dots" or len(points) == 1:
            body += element("path", d="".join(f"M{px:.1f} {py:.1f}h0" for px, py in points), class_="dots")
        else:
            body += path(points, f"line {kind}")
    return body
