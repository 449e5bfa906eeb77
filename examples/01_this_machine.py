"""Search this machine on the shipped pictures, from Python. Takes the seconds given as argument (default 360)."""

import sys
from pathlib import Path

from nasfit.search import Finished, Settings, TrialFinished, run_search

settings = Settings(
    data="fashion-mnist-small",
    target_ms=float(sys.argv[2]) if len(sys.argv) > 2 else 0.5,
    budget_s=float(sys.argv[1]) if len(sys.argv) > 1 else 360.0,
)
study = Path(sys.argv[3]) if len(sys.argv) > 3 else Path("runs/example")

for event in run_search(settings, study):
    if isinstance(event, TrialFinished) and event.best:
        print(f"trial {event.trial.number}: best {event.best.accuracy:.3f} at {event.best.latency_ms:.3f} ms")
    if isinstance(event, Finished) and event.result.best is not None:
        best = event.result.contenders[event.result.best]
        print(f"{best.accuracy:.3f} on the test set at {best.latency_ms:.3f} ms: {study / best.file}")
