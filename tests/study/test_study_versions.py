"""Studies that earlier formats wrote."""

import hashlib
import sqlite3
from dataclasses import replace

import pytest

from nasfit.study import LookedUp, Proposal, Rung, Study, TrialState, versions
from nasfit.study.tables import APPLICATION_ID

FORMAT_1 = """
CREATE TABLE about (name TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (name));
INSERT INTO about VALUES ('created', '2026-01-02T03:04:05.678+00:00');
INSERT INTO about VALUES ('nasfit', '0.1.0');
CREATE TABLE documents (name TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (name));
CREATE TABLE measurements (name TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (name));
CREATE TABLE seconds (kind TEXT NOT NULL, total FLOAT NOT NULL, PRIMARY KEY (kind));
CREATE TABLE settings (name TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (name));
INSERT INTO settings VALUES ('target_ms', '3.0');
CREATE TABLE trials (number INTEGER NOT NULL, tokens TEXT NOT NULL, architecture TEXT NOT NULL, seed INTEGER NOT NULL,
    origin TEXT NOT NULL, state TEXT NOT NULL, accuracy FLOAT, latency_ms FLOAT, reward FLOAT, reason TEXT NOT NULL,
    duplicate_of INTEGER, curve TEXT NOT NULL, seconds TEXT NOT NULL, measurement TEXT, versions TEXT NOT NULL,
    started TEXT NOT NULL, finished TEXT NOT NULL, batch INTEGER, place INTEGER, PRIMARY KEY (number));
INSERT INTO trials VALUES (0, '[1,2]', 'a', 7, 'random', 'complete', 0.5, 1.25, 0.5, '', NULL, '[[100,0.25]]',
    '{"train":1.5}', 'key', '{}', '2026', '2027', 0, 0);
INSERT INTO trials VALUES (1, '[0,2]', 'b', 7, 'random', 'running', NULL, NULL, NULL, '', NULL, '[]', '{}', NULL, '{}',
    '2026', '', NULL, NULL);
"""


TO_FORMAT_2 = """
ALTER TABLE trials ADD COLUMN rung TEXT NOT NULL DEFAULT 'null';
CREATE TABLE lookups (place INTEGER NOT NULL, tokens TEXT NOT NULL, latency_ms FLOAT, excess FLOAT,
    reason TEXT NOT NULL, PRIMARY KEY (place), UNIQUE (tokens));
"""


TO_FORMAT_3 = """
CREATE TABLE files (name TEXT NOT NULL, content BLOB NOT NULL, PRIMARY KEY (name));
CREATE TABLE jobs (place INTEGER NOT NULL, key TEXT NOT NULL, payload TEXT NOT NULL, timeout_s FLOAT, owner TEXT,
    attempts INTEGER NOT NULL, outcome TEXT, PRIMARY KEY (place), UNIQUE (key));
CREATE TABLE members (name TEXT NOT NULL, host TEXT NOT NULL, pid INTEGER NOT NULL, workers INTEGER NOT NULL,
    drives BOOLEAN NOT NULL, beat INTEGER NOT NULL, quiet BOOLEAN NOT NULL, PRIMARY KEY (name));
"""


@pytest.fixture(params=[1, 2, 3])
def version(request):
    return request.param


@pytest.fixture
def path(tmp_path, version):
    with sqlite3.connect(tmp_path / "study.sqlite") as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.executescript(FORMAT_1)
        for since, changes in {2: TO_FORMAT_2, 3: TO_FORMAT_3}.items():
            if version >= since:
                connection.executescript(changes)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {version}")
    connection.close()
    return tmp_path


def check(study):
    first, second = study.trials()
    assert (first.state, first.accuracy, first.curve, first.measurement) == (
        TrialState.COMPLETE,
        0.5,
        ((100, 0.25),),
        "key",
    )
    assert first.rung is None and first.worker == "" and study.batches() == [[first]] and study.running() == [second]
    assert study.jobs.outcomes(["a"]) == {} and study.members.all() == []
    assert study.lookups.all() == [] and study.settings == {"target_ms": 3.0}
    return second


def test_a_reader_leaves_it_as_it_is(path):
    before = hashlib.sha256((path / "study.sqlite").read_bytes()).digest()
    with Study.open(path, read_only=True) as study:
        check(study)
        check(study)
    assert hashlib.sha256((path / "study.sqlite").read_bytes()).digest() == before


def test_a_driver_brings_it_up_to_date(path):
    with Study.open(path) as study:
        second = check(study)
        study.finish([replace(second, state=TrialState.STOPPED, rung=Rung(40, 0.2, 0.25), worker="a:1")])
        study.propose([Proposal((3, 3), "c", 0)])
        study.lookups.add([LookedUp((3, 3), 1.5)])
    for read_only in (True, False):
        with Study.open(path, read_only=read_only) as study:
            assert [trial.rung for trial in study.trials()] == [None, Rung(40, 0.2, 0.25), None]
            assert [trial.worker for trial in study.trials()] == ["", "a:1", ""]
            assert study.lookups.all() == [LookedUp((3, 3), 1.5)]
    with sqlite3.connect(path / "study.sqlite") as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (4,)


def test_what_breaks_on_the_way_leaves_the_earlier_format(path, version, monkeypatch):
    class Interrupted(dict):
        def items(self):
            yield from super().items()
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setitem(versions._COLUMNS, 4, Interrupted(versions._COLUMNS[4]))
        with pytest.raises(KeyboardInterrupt):
            Study.open(path)
    with sqlite3.connect(path / "study.sqlite") as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (version,)
        columns = [row[1] for row in connection.execute("PRAGMA table_info(trials)")]
        assert ("rung" in columns) == (version >= 2) and "worker" not in columns
    with Study.open(path) as study:
        check(study)


def test_both_ways_lead_to_the_same_tables(path, tmp_path):
    Study.open(path).close()
    Study.create(tmp_path / "new", {}).close()
    columns = []
    for place in (path, tmp_path / "new"):
        with sqlite3.connect(place / "study.sqlite") as connection:
            tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            columns.append(
                {
                    table: sorted(row[1:4] for row in connection.execute(f"PRAGMA table_info({table})"))
                    for table in tables
                }
            )
    assert columns[0] == columns[1]
