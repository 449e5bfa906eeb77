"""The whole page: template, tables and charts of one story -> HTML text."""

from __future__ import annotations

from collections.abc import Mapping

import nasfit
from nasfit.architecture import AnyNetwork, read_network, write_blocks
from nasfit.errors import ArchitectureError
from nasfit.report import accuracy_tables, evidence, latency_tables, reliability, tables
from nasfit.report.answer import answer
from nasfit.report.architecture_drawing import architecture_drawing
from nasfit.report.comparison_chart import comparison_chart
from nasfit.report.controller_chart import controller_chart
from nasfit.report.families import together
from nasfit.report.samples_chart import samples_chart
from nasfit.report.search_charts import cost_chart, front_chart, reward_chart
from nasfit.report.story import Story
from nasfit.report.thumbnails import SIDE

# Sections of a finished study by their names on the page.
CONTENTS = {
    "comparison": "Final comparison",
    "test": "Accuracy",
    "network": "Network",
    "latency": "Latency",
    "front": "Front",
    "search": "Search",
    "cost": "Cost",
    "conditions": "Conditions",
    "reproduce": "Reproduce",
}


def page(story: Story, thumbnails: Mapping[int, str] | None = None) -> str:
    """Self-contained HTML. thumbnails: `data:` addresses of test pictures, by row.

    Raises ArchitectureError where the winner's text does not read.
    """
    # Whoever reads a study without its page needs no templates.
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("nasfit.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    result, text, final, conditions = story.result, story.network, story.final, _conditions(story)
    network = read_network(text) if text else None
    charts = {
        "architecture": architecture_drawing(network, final.parts) if network else None,
        "samples": samples_chart(final.latencies),
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
        contents=[(name, words) for name, words in CONTENTS.items() if name != "network" or network],
        blocks=tables.blocks(network) if network else None,
        network=text,
        **_final(story, network),
        thumbnails=thumbnails or {},
        small_pictures=bool(network and network.backbone.resolution <= SIDE),
        published=_published(network) if network else None,
        front=tables.front(story),
        trials=tables.trials(story),
        states=tables.states(story),
        failures=tables.failures(story),
        promotions=tables.promotions(story),
        costs=tables.costs(story),
        settings=tables.facts("Settings of the search", story.asked.as_json()),
        plan=tables.facts("Chosen by the calibration", story.plan.as_json()) if story.plan else None,
        conditions=tables.facts("Of the final measurement", conditions) if conditions else None,
        versions=tables.facts("Versions", dict(result.versions)) if result else None,
        evidence=evidence,
        shortcuts=tuple(reliability.shortcuts(story)),
        proxy_lines=tuple(reliability.proxy_lines(story)),
        proxies=tables.proxies(story.proxy) if story.proxy else None,
        advice=tuple(story.plan.lines(story.settings)) if story.plan else (),
        version=nasfit.__version__,
    )


def _final(story: Story, network: AnyNetwork | None) -> dict[str, object]:
    """What the template tells of the finale's evidence."""
    errors, parts, latencies = story.final.errors, story.final.parts, story.final.latencies
    return {
        "errors": errors,
        "matrix": accuracy_tables.matrix(errors) if errors else None,
        "confusions": accuracy_tables.confusions(errors) if errors else None,
        "by_class": accuracy_tables.by_class(errors) if errors else None,
        "duels": accuracy_tables.duels(errors) if errors else None,
        "parts": latency_tables.parts(network, parts) if network and parts else None,
        "where_time_goes": latency_tables.where_time_goes(network, parts) if network and parts else None,
        "measurements": latency_tables.measurements(latencies) if latencies else None,
        "how_measured": tuple(latency_tables.how_measured(latencies)),
    }


def _conditions(story: Story) -> dict[str, object]:
    """Of the measurement that ended the search; empty where none has."""
    if story.result is not None:
        return dict(story.result.conditions)
    return dict(story.winner["latency"]["conditions"]) if story.winner and story.winner["latency"] else {}


def _published(network: AnyNetwork) -> str | None:
    """The blocks in published notation, None where it has no word for one of them."""
    try:
        return write_blocks(network.backbone)
    except ArchitectureError:
        return None
