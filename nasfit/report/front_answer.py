"""The answer of a search for a whole front: its networks from fastest to most accurate, against the published ones."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nasfit.architecture import Architecture
from nasfit.objective import Front, pareto_front
from nasfit.report.families import together
from nasfit.report.headline import Answer, Tile, margin
from nasfit.report.story import Story
from nasfit.report.wording import digits, ms, percent, points
from nasfit.search.result import Contender, Result


def front_answer(story: Story, result: Result, doubts: tuple[str, ...]) -> Answer:
    """The two fronts, and the mean accuracy that each offers over all limits of the range.

    That mean is the hypervolume between the limits over their distance, plus its floor: the accuracy of guessing, which
    also counts where no network meets a limit.
    """
    low_ms, high_ms = story.settings.front_from_ms, story.settings.target_ms
    assert low_ms is not None, "asked for of a front only"
    own = on_front(_meeting(result.found, high_ms))
    range_ = f"{low_ms:g} to {high_ms:g} ms"
    headline = f"{len(own)} networks for limits from {range_}, fastest to most accurate: "
    headline = headline if len(own) > 1 else f"One network for limits from {range_}: "
    headline += " to ".join(_pair(contender) for contender in dict.fromkeys((own[0], own[-1]))) + "."
    if not result.baselines:
        none = "No published network could be trained beside them, so there is nothing to compare with."
        return Answer("unclear", headline, (), (_listed(own), none), doubts)
    front, floor = Front(low_ms, high_ms), 1 / Architecture.parse(own[0].architecture).classes
    areas = [area(front, group, floor) for group in (own, result.baselines)]
    found, theirs = (floor + each / (high_ms - low_ms) for each in areas)
    names = together(result.baselines)
    kind, verdict = _verdict(found, theirs, names, story.test_pictures)
    told = (
        f"Over all limits from {range_}, the most accurate network within the limit has {percent(found)} on average, "
        f"those of {names} {percent(theirs)}: {points(found - theirs)}. Hypervolume between the two limits, above a "
        f"floor of {percent(floor)} (guessing): {digits(areas[0], 1)} against {digits(areas[1], 1)} accuracy x ms."
    )
    tiles = (
        Tile("Fastest", percent(own[0].accuracy), ms(own[0].latency_ms)),
        Tile("Most accurate", percent(own[-1].accuracy), f"{ms(own[-1].latency_ms)}, limit {high_ms:g} ms"),
        Tile("Mean over all limits", percent(found), f"{names}: {percent(theirs)}"),
    )
    return Answer(kind, f"{headline} {verdict}", tiles, (_listed(own), told), doubts)


def on_front(contenders: Sequence[Contender]) -> list[Contender]:
    """Those that no other of them beats in both, fastest first."""
    return [contenders[index] for index in pareto_front([(c.accuracy, c.latency_ms) for c in contenders])]


def area(front: Front, contenders: Sequence[Contender], floor: float) -> float:
    """Hypervolume (accuracy x ms) of networks between the front's limits, above the floor."""
    accuracy_N = np.array([contender.accuracy for contender in contenders])
    return front.area(accuracy_N, np.array([contender.latency_ms for contender in contenders]), floor)


def _meeting(contenders: Sequence[Contender], high_ms: float) -> list[Contender]:
    return [c for c in contenders if c.latency_ms <= high_ms and not c.over_bounds]


def _verdict(found: float, theirs: float, names: str, pictures: int | None) -> tuple[str, str]:
    noise = margin(found, theirs, pictures) or 0.0
    if abs(found - theirs) <= noise:
        return "unclear", f"No clear difference from {names}: {points(found - theirs)} is inside the test's noise."
    if found > theirs:
        return "better", f"Better than {names} over the range: {points(found - theirs)} on average."
    return "worse", f"Not better than {names} over the range: {points(found - theirs)} on average."


def _pair(contender: Contender) -> str:
    return f"{percent(contender.accuracy)} at {ms(contender.latency_ms)}"


def _listed(own: Sequence[Contender]) -> str:
    return "Fastest to most accurate: " + "; ".join(f"{c.name}, {_pair(c)}" for c in own) + "."
