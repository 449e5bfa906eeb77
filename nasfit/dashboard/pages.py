"""The pages and their parts: one moment of a study -> HTML text. A part is what changes while a page is open."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

import nasfit
from nasfit.architecture import Architecture, read_network
from nasfit.dashboard import health
from nasfit.dashboard.curve_charts import finals_curves, one_curve, trials_curves
from nasfit.dashboard.device_chart import device_chart
from nasfit.dashboard.moment import MOST_SHOWN, Moment
from nasfit.dashboard.passing import tiles
from nasfit.dashboard.sequence_chart import sequence_chart
from nasfit.dashboard.strip import strip
from nasfit.dashboard.trial_tables import facts, front_table, trials_table
from nasfit.dashboard.watching import Look
from nasfit.latency import Measurement
from nasfit.latency.health import OK
from nasfit.report import Story, answer, tables
from nasfit.report.architecture_drawing import architecture_drawing
from nasfit.report.comparison_chart import comparison_chart
from nasfit.report.controller_chart import controller_chart
from nasfit.report.evidence import against_random, pace
from nasfit.report.families import together
from nasfit.report.headline import GO_ON
from nasfit.report.reliability import proxy_lines, shortcuts
from nasfit.report.samples_chart import samples_chart
from nasfit.report.search_charts import cost_chart, front_chart, reward_chart
from nasfit.report.wording import interval, ms, percent, value
from nasfit.search.standing import RUNNING
from nasfit.study import Trial, TrialState

PARTS = (
    "answer",
    "passing",
    "comparison",
    "front",
    "reward",
    "networks",
    "spread",
    "curves",
    "trials",
    "device",
    "time",
)
NEWEST, A_PAGE = 15, 100

_ENVIRONMENT = Environment(
    loader=ChoiceLoader([PackageLoader("nasfit.dashboard", "."), PackageLoader("nasfit.report", ".")]),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_ENVIRONMENT.filters |= {
    "percent": percent,
    "ms": ms,
    "value": value,
    "interval": lambda measurement: interval(measurement.low_ms, measurement.high_ms),
}


def style() -> str:
    """The report's style sheet and what the dashboard adds."""
    report = _ENVIRONMENT.get_template("report.html")
    own = _ENVIRONMENT.get_template("dashboard.css").render()
    return "".join(report.blocks["style"](report.new_context())) + own


def script() -> str:
    """What asks for the parts that have changed."""
    return _ENVIRONMENT.get_template("dashboard.js").render()


def parts_of(look: Look) -> dict[str, str]:
    """HTML by name; a part with nothing to show is empty."""
    moment = look.moment
    told = {"state": _part("state", moment, trouble=look.trouble)}
    return told | {name: _part(name, moment, **_WITH[name](moment)) for name in PARTS}


def page(story: Story, parts: Mapping[str, str], version: str, next_s: float) -> str:
    """The page itself, whole without the script. version, next_s: told to the script, which asks for what changes."""
    return _render("dashboard.html", story=story, parts=parts, names=PARTS, live=version, next_s=next_s)


def trials_page(story: Story, state: TrialState | None, before: int) -> str:
    """Trials with numbers below `before`, the newest first, `A_PAGE` at most. state: of one state alone."""
    wanted = [trial for trial in reversed(story.trials) if state in (None, trial.state)]
    left = [trial for trial in wanted if trial.number < before]
    newer = len(wanted) - len(left)
    shown = left[:A_PAGE]
    # The page before this one begins so many rows up.
    up = None if not newer else wanted[max(0, newer - A_PAGE)].number + 1
    caption = "Trials, the newest first" if state is None else f"Trials that are {state.value}, the newest first"
    return _render(
        "trials.html",
        story=story,
        state=state,
        states=[one for one in TrialState if any(trial.state is one for trial in story.trials)],
        table=trials_table(shown, caption, story) if shown else None,
        total=len(wanted),
        newer=up,
        older=shown[-1].number if len(left) > len(shown) else None,
    )


def trial_page(story: Story, trial: Trial, measurement: Measurement | None) -> str:
    """Everything that is kept of one trial."""
    network = read_network(trial.architecture)
    return _render(
        "trial.html",
        story=story,
        trial=trial,
        picture=architecture_drawing(network),
        blocks=tables.blocks(network),
        measurement=measurement,
        samples=None if measurement is None else sequence_chart(measurement),
        conditions=None
        if measurement is None
        else tables.facts("Conditions at its start", dict(measurement.conditions)),
        curve=one_curve(trial),
        facts=facts(trial),
    )


def message_page(title: str, words: str) -> str:
    """A page with nothing but a message."""
    return _render("message.html", title=title, words=words)


def _render(template: str, **values: Any) -> str:
    return _ENVIRONMENT.get_template(template).render(version=nasfit.__version__, **values)


def _part(name: str, moment: Moment, **values: Any) -> str:
    html = _ENVIRONMENT.get_template(f"parts/{name}.html").render(moment=moment, story=moment.story, **values)
    return html.strip()


def _answer(moment: Moment) -> dict[str, Any]:
    told = answer(moment.story)
    if moment.passing.standing == RUNNING:
        told = replace(told, sentences=tuple(sentence for sentence in told.sentences if sentence != GO_ON))
    return {"answer": told}


def _comparison(moment: Moment) -> dict[str, Any]:
    result, final = moment.story.result, moment.story.final
    if result is None or not result.contenders:
        return {"chart": None}
    best = None if result.best is None else Architecture.parse(result.contenders[result.best].architecture)
    return {
        "chart": comparison_chart(moment.story),
        "baselines": together(result.baselines) if result.baselines else None,
        "table": tables.comparison(result),
        "samples": samples_chart(final.latencies),
        "timed": best and final.parts and architecture_drawing(best, final.parts, name="timed"),
    }


def _passing(moment: Moment) -> dict[str, Any]:
    worries = [f"{one.what}: {one.told}; {one.fix}" for one in health.found(moment.readings) if one.state != OK]
    return {"tiles": list(tiles(moment.passing, moment.story)), "worries": worries}


def _front(moment: Moment) -> dict[str, Any]:
    return {"chart": front_chart(moment.story)}


def _reward(moment: Moment) -> dict[str, Any]:
    story = moment.story
    words = list(against_random(story)) if story.complete else []
    return {"chart": reward_chart(story), "controller": controller_chart(story), "words": words}


def _networks(moment: Moment) -> dict[str, Any]:
    shown = [(trial, _strip(trial.architecture, f"strip-{trial.number}")) for trial in moment.shown]
    return {"shown": shown, "leader": moment.story.leader}


@lru_cache(maxsize=10 * MOST_SHOWN)
def _strip(architecture: str, name: str) -> Markup:
    return strip(read_network(architecture), name)


def _spread(moment: Moment) -> dict[str, Any]:
    known = {f"trial {t.number}": moment.measurements.get(t.measurement or "") for t in moment.shown}
    latencies = {name: found for name, found in known.items() if found is not None}
    chart = samples_chart(latencies, name="spread-samples", told="the front's networks")
    return {"chart": chart, "table": front_table(moment.shown, moment.measurements, moment.story)}


def _curves(moment: Moment) -> dict[str, Any]:
    story = moment.story
    return {"chart": trials_curves(story.trials, story.front, story.leader), "finals": finals_curves(moment.finals)}


def _trials(moment: Moment) -> dict[str, Any]:
    story = moment.story
    newest: Sequence[Trial] = story.trials[::-1][:NEWEST]
    caption = f"The newest {len(newest)} of {len(story.trials):,}" if len(story.trials) > NEWEST else "Newest first"
    return {
        "table": trials_table(newest, caption, story) if newest else None,
        "states": tables.states(story),
        "failures": tables.failures(story),
    }


def _device(moment: Moment) -> dict[str, Any]:
    found = health.found(moment.readings)
    return {
        "chart": device_chart(moment.readings),
        "findings": health.table(found) if found else None,
        "doubts": health.doubts(moment.readings),
    }


def _time(moment: Moment) -> dict[str, Any]:
    story = moment.story
    return {
        "chart": cost_chart(story),
        "pace": list(pace(story)),
        "shortcuts": [*shortcuts(story), *proxy_lines(story)],
        "advice": [] if story.plan is None else list(story.plan.lines(story.settings)),
        "promotions": tables.promotions(story),
    }


_WITH = {
    "answer": _answer,
    "comparison": _comparison,
    "passing": _passing,
    "front": _front,
    "reward": _reward,
    "networks": _networks,
    "spread": _spread,
    "curves": _curves,
    "trials": _trials,
    "device": _device,
    "time": _time,
}
