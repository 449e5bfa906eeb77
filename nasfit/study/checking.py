"""The checker of the extension point: run it on a store of your own before a search relies on it."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

from sqlalchemy import Engine

from nasfit.errors import StudyBusy, StudyError
from nasfit.promises import Contract
from nasfit.study.jobs import Job, Outcome
from nasfit.study.lookups import LookedUp
from nasfit.study.store import Store, Use
from nasfit.study.stores import store_at
from nasfit.study.study import Study
from nasfit.study.trial import Proposal, Rung, Trial, TrialState

_SETTINGS = {"target_ms": 3.0, "text": "ä\n'\"", "list": [1, 2.5, None]}
_CONTRACT = Contract("the store", StudyError)
_require, _require_raises = _CONTRACT.require, _CONTRACT.require_raises
_NOW = "2026-01-01T00:00:00.000+00:00"
# A driver in a process of its own, which is then killed.
_DRIVER = """
import sys, time
from nasfit.study import Proposal, Study
study = Study.open(sys.argv[1])
study.propose([Proposal((7,), "of a driver that is killed", seed=0)])
print("driving", flush=True)
time.sleep(600)
"""


def check_store(address: str) -> None:
    """Does a store keep the contract of `Store`? Takes a few seconds.

    address: as one gives it to `--store`, of a kind that an installed package adds, or nasfit's own. Two machines are
    played by two directories, which share nothing else. Leaves two small studies there, whose names begin with
    `nasfit_check_`. Raises StudyError naming the first promise that is broken, and what the store itself raises where
    it cannot be reached at all.
    """
    with tempfile.TemporaryDirectory(prefix="nasfit-") as folder:
        _check_making(address)
        name = f"nasfit_check_{secrets.token_hex(6)}"
        here, there = Path(folder) / "here" / name, Path(folder) / "there" / name
        with Study.create(here, _SETTINGS, store=address) as study:
            trials = _check_keeping(study)
            _check_others(study, address, there)
        _check_again(here, trials)
        _check_killed_driver(here, there)


def _check_making(address: str) -> None:
    store = store_at(address, f"nasfit_check_{secrets.token_hex(6)}")
    again = store_at(store.address, "another_name")
    same = "an address that makes the same store again, whatever the study's name"
    _require(again.address == store.address, same)
    _require(not store.exists(), "exists() is False before create()")
    _require_raises(StudyError, "open() of a study that is not there", lambda: _closed(store.open("read")))
    store.create(_SETTINGS, _NOW)
    _require(store.exists(), "exists() is True after create()")
    _require(again.exists(), same)
    _require_raises(StudyError, "create() of a study that is there", lambda: store.create({}, _NOW))
    with _opened(store, "drive") as engine:
        dialect = engine.dialect.name
        _require(dialect in ("sqlite", "postgresql"), f"the dialect of SQLite or PostgreSQL, got {dialect}")
        with engine.connect() as connection:
            _require(store.driven(connection), "driven() is True while a driver has it open")
        _require_raises(StudyBusy, "open() of a second driver", lambda: _closed(again.open("drive")))
    with _opened(again, "read") as engine, engine.connect() as connection:
        _require(not again.driven(connection), "driven() is False once the driver has disposed of its engine")


def _check_keeping(study: Study) -> list[Trial]:
    """Everything that a study keeps comes back as it was; the trials."""
    _require(study.settings == _SETTINGS, f"settings as they were given, got {study.settings}")
    proposals = [Proposal((place, 2), f"network {place}", seed=(-1) ** place * 2**62) for place in range(4)]
    first, second, *_ = study.propose(proposals)
    ended = replace(
        first,
        state=TrialState.COMPLETE,
        accuracy=0.1 + 0.2,
        latency_ms=1 / 3,
        reward=2**-30,
        reason="ä\n'\"",
        curve=((10, 0.25), (20, 0.5)),
        rung=Rung(10, 0.25),
        seconds={"train": 1e-9},
        versions={"nasfit": "1"},
    )
    study.finish([replace(second, state=TrialState.FAILED, reason="none"), ended])
    for value in ({"a": [1, 2.5, None, "ä"]}, {"b": 3.0}):
        study.put_document("document", value)
        _require(study.document("document") == value, "a document as it was put, in place of an older one")
    looks = [LookedUp((0, 1), 0.1 + 0.2, excess=-0.5), LookedUp((1, 0), None, reason="does not run")]
    study.lookups.add(looks)
    _require(study.lookups.all() == looks, "looked up latencies in the order of looking")
    study.measurements["key"] = {"samples_ms": [0.1, 0.2]}
    _require(study.measurements["key"] == {"samples_ms": [0.1, 0.2]}, "measurements as they were put")
    for seconds in (1.5, 2.25):
        study.add_seconds("train", seconds)
    _require(study.seconds() == {"train": 3.75}, f"sums of seconds, 3.75 s in all, got {study.seconds()}")
    return study.trials()


def _check_others(study: Study, address: str, there: Path) -> None:
    """Another machine finds the study by its name, cannot drive it, sees what is written, and helps."""
    _require_raises(
        StudyBusy,
        "a driver on another machine, while one drives",
        lambda: Study.open_or_create(there, _SETTINGS, store=address).close(),
    )
    with closing(Study.help(there)) as helper:
        _require(helper.trials() == study.trials(), "all trials for a reader on another machine")
        _require(helper.driven(), "driven() is True on another machine")
        study.propose([Proposal((9, 9), "seen at once", seed=1)])
        _require(helper.trials() == study.trials(), "a new trial for a reader that has read before")
        study.jobs.post([Job("a", {"n": 1}), Job("b", {"n": 2}, timeout_s=5.0)])
        claimed = [job.key for job in (*helper.jobs.claim("helper"), *study.jobs.claim("driver"))]
        _require(claimed == ["a", "b"], f"every job claimed once, in the order of posting, got {claimed}")
        _require(helper.jobs.end("a", Outcome({"x": 0.1})), "the first outcome of a job counts")
        _require(not study.jobs.end("a", Outcome({"x": 0.2})), "a second outcome of a job does not count")
        _require(study.jobs.outcomes(["a"]) == {"a": Outcome({"x": 0.1})}, "the outcome that a helper told")
        (there / "carried").write_bytes(b"\0\xff" * 1000)
        helper.carried.send("carried")
        study.carried.fetch("carried")
        _require((study.path / "carried").read_bytes() == b"\0\xff" * 1000, "files carried between machines")


def _check_again(here: Path, trials: list[Trial]) -> None:
    with Study.open(here) as study:
        _require(study.trials()[: len(trials)] == trials, "trials to the last bit, opened again")
        numbers = [[trial.number for trial in batch] for batch in study.batches()]
        _require(numbers == [[1, 0]], f"finished trials in the order they were told, 1 before 0, got {numbers}")


def _check_killed_driver(here: Path, there: Path) -> None:
    """What it had written stays, and its hold ends."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    line = [sys.executable, "-c", _DRIVER, str(here)]
    with subprocess.Popen(line, stdout=subprocess.PIPE, text=True, env=environment) as driver:
        assert driver.stdout is not None
        said = driver.stdout.readline()
        _require(said == "driving\n", "a driver in a process of its own; it ended instead, see its words above")
        _require_raises(StudyBusy, "a second driver beside that process", lambda: Study.open(there).close())
        driver.send_signal(signal.SIGKILL)
    for attempt in range(50):
        try:
            with Study.open(there) as study:
                kept = study.trials()[-1].architecture
            break
        except StudyBusy:
            _require(attempt < 49, "a driver that is killed holds the study no longer than a few seconds")
            time.sleep(0.2)
    _require(kept == "of a driver that is killed", "what a driver wrote before it was killed")


@contextmanager
def _opened(store: Store, use: Use) -> Iterator[Engine]:
    engine = store.open(use)
    try:
        yield engine
    finally:
        engine.dispose()


def _closed(engine: Engine) -> None:
    engine.dispose()
