"""`nasfit show`: what a study has found."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from nasfit.architecture import read_network, write_blocks
from nasfit.cli.quantities import points
from nasfit.errors import ArchitectureError
from nasfit.report import Story, answer, story_of
from nasfit.report.reliability import proxy_lines, shortcuts
from nasfit.search.best_trials import best_under, front_of
from nasfit.study import Study, Trial


def run(path: Path, *, as_json: bool) -> None:
    """Prints the front, the best network under the limit and its blocks. Raises StudyError."""
    with Study.open(path, read_only=True) as study:
        story = story_of(study)
    trials, target_ms, result = list(story.trials), story.settings.target_ms, story.result
    front = front_of(trials)
    best = best_under(trials, target_ms)
    if as_json:
        print(json.dumps(_document(story, front, best), indent=1))
        return
    states = Counter(trial.state.value for trial in trials)
    print(f"{len(trials)} trials: " + ", ".join(f"{number} {state}" for state, number in sorted(states.items())))
    for sentence in shortcuts(story):
        print(sentence)
    print(f"\n{'trial':>6}{story.measure:>12}{'ms':>9}   front (validation {story.measure} after proxy training)")
    for trial in front:
        mark = "  <- best under the limit" if best and trial.number == best.number else ""
        print(f"{trial.number:>6}{points(trial.accuracy):>12}{trial.latency_ms:>9.3g}{mark}")
    if best is None:
        print(f"\nno trained network meets {target_ms:g} ms yet")
    else:
        print(f"\n{_blocks(best.architecture)}")
    if result or story.winner:
        print()
        for line in _concluded(story, path):
            print(line)


def conclusion(path: Path) -> Iterator[str]:
    """A finished study in a few lines: the comparison, the verdict in the report's words, where things are."""
    with Study.open(path, read_only=True) as study:
        story = story_of(study)
    yield from _concluded(story, path)


def _concluded(story: Story, path: Path) -> Iterator[str]:
    result = story.result
    told = answer(story)
    if story.winner:
        yield told.headline
        yield from told.sentences
    if result is None:
        return
    yield f"trained on {result.final_images:,} pictures each, tested once, measured in one session:"
    yield f"{'network':<20}{'test accuracy':>14}{'ms':>9}{'parameters':>13}{'multiply-adds':>15}"
    for contender in sorted(result.contenders, key=lambda c: c.latency_ms):
        yield (
            f"{contender.name:<20}{points(contender.accuracy):>14}{contender.latency_ms:>9.3g}"
            f"{contender.parameters:>13,}{contender.madds:>15,}"
        )
    yield ""
    yield told.headline
    yield from told.sentences
    yield from (line for line in proxy_lines(story) if not line.startswith("warning: "))
    yield from (f"warning: {warning}" for warning in told.warnings)
    if result.best is not None:
        best = result.contenders[result.best]
        yield f"blocks    {_blocks(best.architecture)}"
        yield f"files     {path / best.file} and {path / best.weights}"


def _blocks(text: str) -> str:
    try:
        return write_blocks(read_network(text).backbone)
    except ArchitectureError:
        return text


def _document(story: Story, front: list[Trial], best: Trial | None) -> dict[str, Any]:
    def plain(trial: Trial) -> dict[str, Any]:
        return {
            "trial": trial.number,
            "accuracy": trial.accuracy,
            "latency_ms": trial.latency_ms,
            "reward": trial.reward,
            "architecture": trial.architecture,
        }

    check = story.proxy
    proxy = None if check is None else {"tau": check.tau, "interval": check.interval, **check.as_json()}
    return {
        "target_ms": story.settings.target_ms,
        "front_from_ms": story.settings.front_from_ms,
        "trials": dict(Counter(trial.state.value for trial in story.trials)),
        "front": [plain(trial) for trial in front],
        "best": plain(best) if best else None,
        "measure": story.measure,
        "winner": story.winner,
        "proxy": proxy,
        "scores": {name: None if found is None else asdict(found) for name, found in story.scores.items()},
        "result": story.result.as_json() if story.result else None,
    }
