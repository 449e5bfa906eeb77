"""`nasfit compare`: what several studies came to, side by side, and what they were asked differently."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from nasfit.cli.quantities import duration, points
from nasfit.errors import UsageError
from nasfit.report import Story, story_of
from nasfit.search.result import Contender, speedup
from nasfit.study import Study

# How a study went rather than what was asked.
OWN_WAY = {"seed", "workers"}


def run(paths: Sequence[Path], *, as_json: bool) -> None:
    """Prints a line a study, and the settings that differ. Raises UsageError for fewer than two, StudyError."""
    if len(paths) < 2:
        raise UsageError("comparing takes two studies or more; name their directories")
    stories = []
    for path in paths:
        with Study.open(path, read_only=True) as study:
            stories.append(story_of(study))
    rows = [_row(path, story) for path, story in zip(paths, stories, strict=True)]
    differing = _differing(stories)
    if as_json:
        print(json.dumps({"studies": rows, "differing": differing}, indent=1))
        return
    print("\n".join(_lines(rows)))
    for name, values in differing.items():
        print(f"{name:<20}{'  '.join(map(str, values))}")


def _row(path: Path, story: Story) -> dict[str, Any]:
    leader, result = story.leader, story.result
    best = result.contenders[result.best] if result and result.best is not None else None
    return {
        "study": str(path),
        "trained": len(story.complete) + len(story.stopped),
        "seconds": sum(story.seconds.values()),
        "validation": leader.accuracy if leader else None,
        "validation_ms": leader.latency_ms if leader else None,
        "test": best.accuracy if best else None,
        "test_interval": _interval(best, story.test_pictures) if best else None,
        "test_ms": best.latency_ms if best else None,
        "speedup": speedup(best, result.baselines) if best and result else None,
        **_of_winner(story.winner),
    }


def _of_winner(winner: Mapping[str, Any] | None) -> dict[str, Any]:
    """Of a search for detectors, in place of what others have."""
    if winner is None:
        return {}
    return {"test": winner["test"]["map"], "test_ms": winner["latency"] and winner["latency"]["latency_ms"]}


def _interval(best: Contender, pictures: int | None) -> float | None:
    """Half of the 95 % interval of an accuracy tested on so many pictures."""
    return None if not pictures else float(1.96 * (best.accuracy * (1 - best.accuracy) / pictures) ** 0.5)


def _lines(rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    width = max(len("study"), *(len(row["study"]) for row in rows))
    heads = f"{'time':>9}{'trained':>9}{'short training':>22}{'tested':>19}{'ms':>8}"
    yield f"{'study':<{width}}{heads}{'faster than a baseline as accurate':>36}"
    for row in rows:
        short = "none meets the limit"
        if row["validation"] is not None:
            short = f"{points(row['validation'])} @ {row['validation_ms']:.3g} ms"
        tested, ms, faster = "-", "-", "-"
        if row["test"] is not None:
            spread = f" +- {100 * row['test_interval']:.1f}" if row["test_interval"] else ""
            tested, ms = f"{points(row['test'])}{spread}", f"{row['test_ms']:.3g}" if row["test_ms"] else "-"
        if row["speedup"] is not None:
            faster = f"{row['speedup']:.2f}x"
        told = f"{duration(row['seconds']):>9}{row['trained']:>9}{short:>22}{tested:>19}{ms:>8}{faster:>36}"
        yield f"{row['study']:<{width}}{told}"


def _differing(stories: Sequence[Story]) -> dict[str, list[Any]]:
    """What was asked differently, a value a study; and the devices, where they tell."""
    asked = [story.asked.as_json() for story in stories]
    for values, story in zip(asked, stories, strict=True):
        if story.result is not None:
            values["measured on"] = story.result.conditions.get("device")
    names = [name for name in dict.fromkeys(name for one in asked for name in one) if name not in OWN_WAY]
    return {name: found for name in names if len(set(map(str, found := [one.get(name) for one in asked]))) > 1}
