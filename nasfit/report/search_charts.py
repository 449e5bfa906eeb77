"""The search as inline SVG: its front, its rewards over time, its cost. Each is None where there is nothing to draw."""

from __future__ import annotations

from markupsafe import Markup

from nasfit.report.marks import Point, cloud, labels, mark, stairs
from nasfit.report.story import Story
from nasfit.report.svg import WIDTH, Frame, drawing, element, path, spread, text
from nasfit.report.wording import duration, ms, percent, share, value
from nasfit.study import Trial, TrialState

REWARD_HEIGHT = 340.0


def front_chart(story: Story) -> Markup | None:
    """Validation accuracy or mAP against latency of the trained trials, their front, the pruned along the axis."""
    complete, front, settings = story.complete, story.front, story.settings
    if not complete:
        return None
    target_ms, shown = settings.target_ms, (*complete, *story.stopped)
    xs = [trial.latency_ms or 0.0 for trial in shown]
    frame = Frame.around(
        spread([*xs, target_ms * 1.2], floor=0.0), spread([t.accuracy or 0.0 for t in shown], margin=0.1)
    )

    def at(trial: Trial) -> Point:
        return frame.x(trial.latency_ms or 0.0), frame.y(trial.accuracy or 0.0)

    body = (
        frame.axes("latency, ms", f"validation {story.measure}, %", 100)
        + frame.limit(target_ms)
        + _pruned(frame, story)
    )
    if settings.front_from_ms is not None:
        body += frame.limit(settings.front_from_ms)
    on_front = {trial.number for trial in front}
    rest = [trial for trial in complete if trial.number not in on_front]
    body += cloud([at(trial) for trial in rest], [_tip(trial) for trial in rest], "trial")
    body += cloud([at(trial) for trial in story.stopped], [_stopped_tip(t) for t in story.stopped], "stopped")
    body += path(stairs([at(trial) for trial in front]), "line found")
    body += Markup("").join(mark(at(trial), "found", _tip(trial)) for trial in front)
    if leader := story.leader:
        body += mark(at(leader), "found best", _tip(leader), 7.0)
        (label,) = labels(frame, [f"best under the limit: trial {leader.number}"], [at(leader)], target_ms)
        body += text(label.x, label.y + 4, label.words, class_="note halo found-text strong")
    return drawing("front", f"Validation {story.measure} against latency of the search's trials, and their front", body)


def reward_chart(story: Story) -> Markup | None:
    """Reward of the trained trials in the order of proposal, the best so far, and what random search would give."""
    known = [(trial, trial.reward) for trial in story.complete if trial.reward is not None]
    if not known:
        return None
    expected = story.random.expected
    frame = Frame.around(
        spread([trial.number for trial, _ in known], margin=0.02, floor=-0.5),
        spread([*(reward for _, reward in known), *([] if expected is None else [expected])], margin=0.1),
        height=REWARD_HEIGHT,
    )
    body = frame.axes("trial, in the order of proposal", story.value_name)
    if expected is not None:
        level = frame.y(expected)
        body += element("line", class_="expected", x1=frame.x.start, x2=frame.x.end, y1=level, y2=level)
        body += text(frame.x.start + 6, level - 6, "expected of random search", class_="note halo")
    best, rises = float("-inf"), []
    for trial, reward in known:
        best = max(best, reward)
        rises.append((frame.x(trial.number), frame.y(best)))
    body += path(stairs(rises), "line found")
    for kind, random in (("random", True), ("found", False)):
        some = [(trial, reward) for trial, reward in known if (trial.origin == "random") is random]
        places = [(frame.x(trial.number), frame.y(reward)) for trial, reward in some]
        body += cloud(places, [_tip(trial) for trial, _ in some], kind)
    return drawing("reward", "Reward of each trained trial, and the best so far", body, height=REWARD_HEIGHT)


def cost_chart(story: Story) -> Markup | None:
    """Seconds by kind of work as bars."""
    kinds = [(kind, seconds) for kind, seconds in story.seconds.items() if seconds > 0]
    if not kinds:
        return None
    most, total = max(seconds for _, seconds in kinds), sum(seconds for _, seconds in kinds)
    left, row = 150.0, 34.0
    body = Markup("")
    for index, (kind, seconds) in enumerate(kinds):
        y, width = 8 + index * row, max(1.0, seconds / most * (WIDTH - left - 150))
        tip = element("title", f"{kind}: {duration(seconds)}")
        body += text(left - 10, y + 16, kind, anchor="end", class_="label")
        body += element("rect", tip, class_="bar", x=left, y=y, width=width, height=22, rx=2)
        body += text(left + width + 8, y + 16, f"{duration(seconds)} ({share(seconds / total)})", class_="label")
    return drawing("cost", "Time spent by kind of work", body, height=16 + len(kinds) * row)


def _pruned(frame: Frame, story: Story) -> Markup:
    """Short strokes on the latency axis for what was measured but not trained."""
    strokes = [
        f"M{frame.x(trial.latency_ms):.1f} {frame.y.start:.1f}v-9"
        for trial in story.trials
        if trial.state is TrialState.PRUNED and trial.latency_ms and trial.latency_ms <= frame.x.high
    ]
    return element("path", class_="pruned", d="".join(strokes))


def _stopped_tip(trial: Trial) -> str:
    return f"trial {trial.number}: {percent(trial.accuracy)} expected, {ms(trial.latency_ms)}, stopped early"


def _tip(trial: Trial) -> str:
    return f"trial {trial.number}: {percent(trial.accuracy)}, {ms(trial.latency_ms)}, reward {value(trial.reward)}"
