"""What a search for detectors found, in plain words; no published detector is trained beside it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from nasfit.architecture import read_network
from nasfit.report.headline import GO_ON, Answer, Tile
from nasfit.report.story import Story
from nasfit.report.wording import interval, millions, ms, percent
from nasfit.search.detector_study import WINNER, winner_command


def detector_answer(story: Story) -> Answer:
    """Of a study on the way, of one that searched alone, or of one whose winner is trained."""
    return _unfinished(story) if story.winner is None else _found(story, story.winner)


def _unfinished(story: Story) -> Answer:
    limit, leader = f"{story.settings.target_ms:g} ms", story.leader
    if leader is None:
        return Answer("unfinished", f"No trained detector meets the limit of {limit} yet.", (), (GO_ON,))
    tiles = (
        Tile("Validation mAP", percent(leader.accuracy), "after a short proxy training, not a test"),
        Tile("Latency", ms(leader.latency_ms), f"limit {limit}"),
    )
    headline = (
        f"Best so far: trial {leader.number}, {percent(leader.accuracy)} validation mAP at {ms(leader.latency_ms)}, "
        f"within the limit of {limit}."
    )
    return Answer("unfinished", headline, tiles, tuple(_next(story)))


def _next(story: Story) -> Iterator[str]:
    if not story.is_ended:
        yield GO_ON
    if story.budget_s is None and story.detectors and story.leader:
        command = winner_command(story.detectors, read_network(story.leader.architecture).backbone)
        yield f"No budget was given to train the winner. This trains the best so far: {command}"
    else:
        yield "Its winner is not trained and tested yet."


def _found(story: Story, winner: Mapping[str, Any]) -> Answer:
    test, latency, limit_ms = winner["test"], winner["latency"], story.settings.target_ms
    tiles = [
        Tile("Test mAP", percent(test["map"]), f"mean over overlaps of 0.5 to 0.95; at 0.5 {percent(test['map_50'])}"),
        Tile("Parameters", millions(winner["parameters"]), f"{millions(winner['madds'])} multiply-adds"),
    ]
    if latency is None:
        kind, told = "unclear", f"its latency is not known: {winner['untold']}"
    else:
        needed_ms = latency["latency_ms"]
        is_within = needed_ms <= limit_ms
        kind = "unclear" if is_within else "none"
        told = f"{ms(needed_ms)}, {'within' if is_within else 'above'} the limit of {limit_ms:g} ms"
        detail = f"{interval(latency['low_ms'], latency['high_ms'])} (95 %), limit {limit_ms:g} ms"
        tiles.insert(1, Tile("Latency", ms(needed_ms), detail))
    sentences = (
        "By class: " + ", ".join(f"{name} {percent(value)}" for name, value in test["per_class"].items()) + ".",
        f"Chosen on validation pictures, where it has {percent(winner['validation']['map'])}, and tested once.",
        "No published detector was trained beside it, so nothing is said against one; nasfit train-detector trains "
        "those on the same pictures.",
        "Files: " + ", ".join(f"{WINNER}/{file}" for file in winner["files"].values()) + ".",
    )
    doubts = tuple(latency["warnings"]) if latency else ()
    return Answer(kind, f"{percent(test['map'])} test mAP; {told}.", tuple(tiles), sentences, doubts)
