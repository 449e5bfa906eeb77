"""A study from anybody: whatever is in it, opening it ends in a study or in one clear error."""

from __future__ import annotations

import json
import random
import shutil
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest
from study_writer import ended

from nasfit.errors import NasfitError
from nasfit.study import Job, LookedUp, Member, Proposal, Rung, Study, TrialState

ROUNDS = 150
VALUES = (
    None,
    "",
    "null",
    "[]",
    "{}",
    "[[]]",
    "[1,2",
    '{"a":1e999}',
    "NaN",
    -1,
    2**63 - 1,
    1e308,
    b"\x80\x00",
    "x" * 99,
)


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("original") / "study"
    with Study.create(path, {"target_ms": 3.0, "data": "colours"}) as study:
        trials = study.propose([Proposal((number, 1), f"net {number}", number) for number in range(9)])
        study.finish([ended(trial) for trial in trials[:6]])
        study.finish([replace(trials[6], state=TrialState.STOPPED, rung=Rung(3, 0.5))])
        study.lookups.add([LookedUp((1, 2), 1.5)])
        study.put_document("plan", {"width": 0.35, "list": [1, 2]})
        study.measurements["a"] = {"samples_ms": [1.0, 2.0]}
        study.members.join(Member("me", "here", 1, 1))
        study.jobs.post([Job("a", {"architecture": "net"})])
        study.add_seconds("search", 3.0)
    return path


def looked_at(path: Path) -> None:
    """Everything that a study tells."""
    for read_only in (True, False):
        with Study.open(path, read_only=read_only) as study:
            study.trials()
            study.batches()
            study.running()
            _ = study.settings, study.seconds(), study.document("plan"), dict(study.measurements), study.lookups.all()
            study.members.all()
            study.jobs.outcomes(["a"])


def opened(path: Path) -> bool:
    """Whether it could be; else it was refused in one clear line."""
    try:
        looked_at(path)
    except NasfitError as error:
        assert str(path) in str(error)
        return False
    return True


def test_damaged_bytes(original: Path, tmp_path: Path) -> None:
    draw = random.Random(0)
    whole = (original / "study.sqlite").read_bytes()
    could = 0
    for number in range(ROUNDS):
        path = tmp_path / str(number)
        path.mkdir()
        content = bytearray(whole)
        for _ in range(draw.choice((1, 3, 30))):
            content[draw.randrange(len(content))] = draw.randrange(256)
        end = draw.choice((len(content), draw.randrange(len(content))))
        (path / "study.sqlite").write_bytes(bytes(content[:end]))
        could += opened(path)
    assert 0 < could < ROUNDS


def test_damaged_values(original: Path, tmp_path: Path) -> None:
    draw = random.Random(1)
    with sqlite3.connect(original / "study.sqlite") as connection:
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        columns = [(table, row[1]) for table in tables for row in connection.execute(f"PRAGMA table_info({table})")]
    could = 0
    for number in range(ROUNDS):
        path = tmp_path / str(number)
        shutil.copytree(original, path)
        table, column = draw.choice(columns)
        value = draw.choice(VALUES)
        with sqlite3.connect(path / "study.sqlite") as connection:
            try:
                connection.execute(f'UPDATE {table} SET "{column}" = ? WHERE rowid = 1', (value,))
            except sqlite3.IntegrityError:
                continue
        connection.close()
        could += opened(path)
    assert could > ROUNDS / 4


def test_values_that_name_what_they_should_not(original: Path, tmp_path: Path) -> None:
    path = tmp_path / "study"
    shutil.copytree(original, path)
    with sqlite3.connect(path / "study.sqlite") as connection:
        connection.execute("UPDATE trials SET state = 'owned' WHERE number = 0")
        connection.execute("UPDATE documents SET value = ?", (json.dumps({"__reduce__": ["os.system", ["false"]]}),))
    connection.close()
    assert not opened(path)
