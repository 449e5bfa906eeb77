"""A driver that is meant to be killed: writes trials, and tells each number after it is stored."""

from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path

from nasfit.study import LookedUp, Proposal, Rung, Study, Trial, TrialState

LOOKS = 3


def ended(trial: Trial, accuracy: float = 0.5) -> Trial:
    return replace(
        trial,
        state=TrialState.COMPLETE,
        accuracy=accuracy,
        latency_ms=1 / 3,
        reward=0.1 + 0.2,
        curve=((100, 0.25), (200, 1 / 7)),
        rung=Rung(80, 1 / 7, 0.2),
        seconds={"measure": 0.5, "train": 1.25},
        measurement="0123abcd",
    )


def write(path: Path, stored: Connection) -> None:
    stored.send(("awake", []))
    study = Study.open_or_create(path, {"target_ms": 3.0})
    while True:
        trials = study.running() or study.propose([Proposal((number,), f"net {number}", number) for number in range(3)])
        stored.send(("proposed", [trial.number for trial in trials]))
        for batch in (trials[:1], trials[1:]):
            study.finish([ended(trial) for trial in batch])
            stored.send(("finished", [trial.number for trial in batch]))
        seen = len(study.lookups.all())
        study.lookups.add([LookedUp((seen + more, 1), 1 / 3, 0.5) for more in range(LOOKS)])
        stored.send(("looked up", list(range(seen, seen + LOOKS))))
        study.add_seconds("search", 1.0)
        stored.send(("seconds", []))


def hold(path: Path, ready: Connection) -> None:
    study = Study.open(path)
    ready.send(study.path)
    ready.recv()
