"""front.png: the search's front and the final comparison in one picture, by matplotlib."""

from __future__ import annotations

from io import BytesIO
from typing import Any

from nasfit.report.families import lines
from nasfit.report.marks import along
from nasfit.report.placement import Box, placed
from nasfit.report.story import Story
from nasfit.search.result import Contender
from nasfit.study import TrialState

# Okabe and Ito's colours: told apart by the colour-blind and in grey.
FOUND, BASELINE, FAINT, DARK = "#d55e00", "#0072b2", "#8a8f98", "#30343b"
SIZE = 9.0  # points, of labels


def figure(story: Story) -> Any:
    """The matplotlib figure; the second panel only after the finale."""
    from matplotlib.figure import Figure

    panels = 2 if story.result and story.result.contenders else 1
    drawn = Figure(figsize=(6.4 * panels, 4.8), dpi=150, layout="constrained")
    axes = drawn.subplots(1, panels, squeeze=False)[0]
    _search(axes[0], story)
    if panels == 2:
        _comparison(axes[1], story)
    for panel in axes:
        panel.grid(color="#e4e6ea", linewidth=0.8)
        panel.set_axisbelow(True)
        panel.spines[["top", "right"]].set_visible(False)
    drawn.draw_without_rendering()
    if panels == 2:
        _name(axes[1], story)
    return drawn


def picture(story: Story) -> bytes:
    """The figure as PNG."""
    content = BytesIO()
    figure(story).savefig(content, format="png")
    return content.getvalue()


def _search(panel: Any, story: Story) -> None:
    target_ms, complete, front = story.settings.target_ms, story.complete, story.front
    panel.set(xlabel="latency, ms", ylabel=f"validation {story.measure} after proxy training, %", title="Search")
    _limits(panel, story)
    if not complete:
        panel.set(title="Search: no trained trial yet", yticks=[], xlim=(0, 2 * target_ms))
        return
    xs, ys = [t.latency_ms or 0.0 for t in complete], [100 * (t.accuracy or 0.0) for t in complete]
    panel.scatter(xs, ys, s=16, color=FAINT, alpha=0.6, linewidths=0, label=f"trained trials ({len(complete)})")
    if stopped := story.stopped:
        stopped_x, stopped_y = [t.latency_ms or 0.0 for t in stopped], [100 * (t.accuracy or 0.0) for t in stopped]
        label = f"stopped early, as expected ({len(stopped)})"
        panel.scatter(stopped_x, stopped_y, s=16, facecolors="none", edgecolors=FAINT, linewidths=0.8, label=label)
    front_x, front_y = [t.latency_ms or 0.0 for t in front], [100 * (t.accuracy or 0.0) for t in front]
    panel.step(front_x, front_y, where="post", color=FOUND, linewidth=1.4)
    panel.scatter(front_x, front_y, s=26, color=FOUND, zorder=3, label="their front")
    right = max(*(1.05 * x for x in (*xs, *(t.latency_ms or 0.0 for t in stopped))), 1.25 * target_ms)
    pruned = [t.latency_ms for t in story.trials if t.state is TrialState.PRUNED and t.duplicate_of is None]
    if pruned:
        inside = [x for x in pruned if x and x <= right]
        label = f"pruned, not trained ({len(pruned)})"
        transform = panel.get_xaxis_transform()
        panel.plot(inside, [0.0] * len(inside), "|", color=DARK, alpha=0.5, ms=9, transform=transform, label=label)
    panel.set_xlim(0 if min(front_x) < 0.3 * right else None, right)
    if leader := story.leader:
        at = (leader.latency_ms, 100 * (leader.accuracy or 0.0))
        panel.scatter(
            *at, s=110, facecolors="none", edgecolors=FOUND, linewidths=1.8, zorder=4, label="best under the limit"
        )
    panel.legend(frameon=True, framealpha=0.9, edgecolor="none", fontsize=SIZE, loc="lower right")


def _comparison(panel: Any, story: Story) -> None:
    assert story.result is not None, "asked for after the finale only"
    panel.set(xlabel="latency, ms", ylabel="test accuracy after final training, %", title="Final comparison")
    _limits(panel, story)
    baselines = [(line, BASELINE, "s-") for line in lines(story.result.baselines)]
    for order, color, shape in (*baselines, (story.result.found, FOUND, "o")):
        if not order:
            continue
        errors = [[c.latency_ms - c.low_ms for c in order], [c.high_ms - c.latency_ms for c in order]]
        xs, ys = [c.latency_ms for c in order], [100 * c.accuracy for c in order]
        panel.errorbar(xs, ys, xerr=errors, fmt=shape, color=color, capsize=3, markersize=6, linewidth=1.4)
    if story.result.best is not None:
        best = story.result.contenders[story.result.best]
        panel.scatter(*_at(best), s=150, facecolors="none", edgecolors=FOUND, linewidths=1.8, zorder=4)
    panel.margins(x=0.14, y=0.14)
    left, right = panel.get_xlim()
    panel.set_xlim(left=0.0 if left < 0.4 * right else left)


def _name(panel: Any, story: Story) -> None:
    """Names beside the points, in the places that are free once the axes are laid out."""
    assert story.result is not None, "asked for after the finale only"
    from matplotlib.patheffects import withStroke

    best = None if story.result.best is None else story.result.contenders[story.result.best]
    order = sorted(story.result.contenders, key=lambda c: (c is not best, c.origin != "found"))
    height, frame = panel.figure.bbox.height, panel.bbox
    size = SIZE * panel.figure.dpi / 72

    def down(at: tuple[float, float]) -> tuple[float, float]:
        x, y = panel.transData.transform(at)
        return float(x), float(height - y)

    limit = panel.transData.transform((story.settings.target_ms, 0))[0]
    edge = Box(frame.x0, height - frame.y1, frame.x1, height - frame.y0)
    joined = [box for line in lines(story.result.baselines) for box in along([down(_at(c)) for c in line])]
    obstacles = [Box(limit - 8, edge.top, limit + 8, edge.bottom), *joined]
    places = placed([c.name for c in order], [down(_at(c)) for c in order], edge, size=size, obstacles=obstacles)
    for contender, place in zip(order, places, strict=True):
        x, y = panel.transData.inverted().transform((place.x, height - place.y))
        color, weight = FOUND if contender.origin == "found" else BASELINE, "bold" if contender is best else "normal"
        words = panel.text(x, y, contender.name, color=color, weight=weight, fontsize=SIZE, va="center", ha="left")
        words.set_path_effects([withStroke(linewidth=3, foreground="white")])


def _limits(panel: Any, story: Story) -> None:
    for limit_ms in (story.settings.front_from_ms, story.settings.target_ms):
        if limit_ms is not None:
            _limit(panel, limit_ms)


def _limit(panel: Any, target_ms: float) -> None:
    panel.axvline(target_ms, color=DARK, linewidth=1.2, linestyle=(0, (5, 3)), zorder=1)
    words = f"limit {target_ms:g} ms"
    transform = panel.get_xaxis_transform()
    panel.text(target_ms, 1.0, f"{words} ", transform=transform, ha="right", va="top", fontsize=SIZE, color=DARK)


def _at(contender: Contender) -> tuple[float, float]:
    return contender.latency_ms, 100 * contender.accuracy
