"""The whole page: template, tables and charts of one story -> HTML text."""

from __future__ import annotations

from jinja2 import Environment, PackageLoader, StrictUndefined

import nasfit
from nasfit.architecture import Architecture, write_blocks
from nasfit.errors import ArchitectureError
from nasfit.report import evidence, reliability, tables
from nasfit.report.answer import answer
from nasfit.report.comparison_chart import comparison_chart
from nasfit.report.controller_chart import controller_chart
from nasfit.report.families import together
from nasfit.report.search_charts import cost_chart, front_chart, reward_chart
from nasfit.report.story import Story


def page(story: Story) -> str:
    """Self-contained HTML. Raises ArchitectureError where the winner's text does not read."""
    environment = Environment(
        loader=PackageLoader("nasfit.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    result, network = story.result, story.network
    charts = {
        "comparison": comparison_chart(story),
        "front": front_chart(story),
        "reward": reward_chart(story),
        "cost": cost_chart(story),
        "controller": controller_chart(story),
    }
    return environment.get_template("report.html").render(
        story=story,
        answer=answer(story),
        charts=charts,
        best=None if result is None or result.best is None else result.contenders[result.best],
        baselines=together(result.baselines) if result else None,
        comparison=tables.comparison(result) if result and result.contenders else None,
        doubted=bool(result and any(contender.warnings for contender in result.contenders)),
        files=tables.files(result) if result and result.contenders else None,
        blocks=tables.blocks(Architecture.parse(network)) if network else None,
        network=network,
        published=_published(network) if network else None,
        front=tables.front(story),
        trials=tables.trials(story),
        states=tables.states(story),
        failures=tables.failures(story),
        promotions=tables.promotions(story),
        costs=tables.costs(story),
        settings=tables.facts("Settings of the search", story.settings.as_json()),
        plan=tables.facts("Chosen by the calibration", story.plan.as_json()) if story.plan else None,
        conditions=tables.facts("Of the final measurement", dict(result.conditions)) if result else None,
        versions=tables.facts("Versions", dict(result.versions)) if result else None,
        evidence=evidence,
        shortcuts=tuple(reliability.shortcuts(story)),
        proxy_lines=tuple(reliability.proxy_lines(story)),
        proxies=tables.proxies(story.proxy) if story.proxy else None,
        advice=tuple(story.plan.lines(story.settings)) if story.plan else (),
        version=nasfit.__version__,
    )


def _published(network: str) -> str | None:
    """The blocks in published notation, None where it has no word for one of them."""
    try:
        return write_blocks(Architecture.parse(network))
    except ArchitectureError:
        return None
