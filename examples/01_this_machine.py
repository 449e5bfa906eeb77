"""Search this machine on the shipped pictures, from Python: [SECONDS [LIMIT_MS [STUDY]]], by default 360 and 0.5."""

import sys

import nasfit
from nasfit.search import Event, TrialFinished

seconds, limit_ms, directory = [*sys.argv[1:], *("360", "0.5", "runs/example")[len(sys.argv) - 1 :]]


def show(event: Event) -> None:
    """Says what is best so far."""
    if isinstance(event, TrialFinished) and event.best:
        print(f"trial {event.trial.number}: best {event.best.accuracy:.3f} at {event.best.latency_ms:.3f} ms")


study = nasfit.search(
    "fashion-mnist-small", target_ms=float(limit_ms), budget=float(seconds), study=directory, listen=show
)
best = study.best()
print(f"{best.accuracy:.3f} on the test set at {best.latency_ms:.3f} ms: {study.files(best)['measured']}")
model = study.load(best)
weights = sum(weight.numel() for weight in model.parameters())
print(f"a torch module of {weights:,} weights for {len(model.classes)} classes")
