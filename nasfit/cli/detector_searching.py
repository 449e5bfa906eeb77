"""`nasfit search-detector`: shows its trials as they come, then the front, then its winner."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

from nasfit.cli.detector_training import lines, trained
from nasfit.cli.interrupting import interruptible
from nasfit.cli.progress import LOG
from nasfit.devices import open_device
from nasfit.search.asking import file_name
from nasfit.search.detector_run import DetectorResult
from nasfit.search.detector_search import DetectorSearch, search_detectors
from nasfit.search.detector_study import WINNER, DetectorSearchSettings, winner_command
from nasfit.search.detector_winner import winner_settings
from nasfit.search.spending import timed
from nasfit.study import Study


def run(settings: DetectorSearchSettings, study: Path | None, *, as_json: bool) -> None:
    """Searches, or goes on; prints the front, and with a budget trains the winner and prints what it is worth.

    Exit code 130 when interrupted, with how to go on.
    """
    path = study or Path("runs") / f"detector-{file_name(settings.data)}-{settings.target_ms:g}ms-seed{settings.seed}"
    handler = logging.StreamHandler()
    LOG.addHandler(handler)
    LOG.setLevel(logging.INFO)
    try:
        with interruptible("trial"):
            searched = search_detectors(
                settings, path, kept=path.parent / "data", device=open_device(settings.device, engine=settings.engine)
            )
    finally:
        LOG.removeHandler(handler)
    if not as_json:
        _print_front(searched, settings)
    winner: DetectorResult | None = None
    if settings.budget_s is not None and searched.best is not None:
        asked = winner_settings(settings, searched.best, path)
        # Held open, the study is seen at work, and by one process alone.
        with Study.open(path) as held, timed(held, "final training"), interruptible("checkpoint"):
            last = trained(asked, path / WINNER, cache=path.parent / "data")
        assert isinstance(last, DetectorResult), "a whole training has a result"
        winner = last
    if as_json:
        told = None if winner is None else winner.as_json()
        print(json.dumps({**_document(searched, settings, path), "winner": told}, indent=1, ensure_ascii=False))
    elif winner is not None:
        print()
        for line in lines(winner, path / WINNER):
            print(line)


def _print_front(searched: DetectorSearch, settings: DetectorSearchSettings) -> None:
    print(f"{len(searched.found.trials)} trials, {searched.trained} trained")
    print(f"{'trial':>6}{'mAP':>10}{'ms':>9}   front (validation mAP after the short training)")
    for trial in searched.found.front:
        print(f"{trial.number:>6}{100 * (trial.accuracy or 0.0):>8.2f} %{trial.latency_ms:>9.3g}")
    if searched.best is None:
        print(f"no detector within {settings.target_ms:g} ms was trained; raise --target-ms, or lower --width")
    elif settings.budget_s is None:
        print(f"\nto train the best within {settings.target_ms:g} ms:\n  {winner_command(settings, searched.best)}")


def _document(searched: DetectorSearch, settings: DetectorSearchSettings, path: Path) -> dict[str, Any]:
    front = [
        {"trial": trial.number, "map": trial.accuracy, "latency_ms": trial.latency_ms} for trial in searched.found.front
    ]
    best = searched.best
    return {
        "study": str(path),
        "trials": len(searched.found.trials),
        "trained": searched.trained,
        "front": front,
        "best": None if best is None else str(best),
        "command": None if best is None else winner_command(settings, best),
    }
