import json
import multiprocessing
import os
import sqlite3

import pytest
from study_writer import hold

from nasfit.errors import StudyError, UsageError
from nasfit.study import Proposal, Study
from nasfit.study.database import create
from nasfit.study.tables import SCHEMA_VERSION

SETTINGS = {"target_ms": 3.0, "data": "pictures", "budget_s": 600.0, "width": None, "list": [1, 2]}


@pytest.fixture
def path(tmp_path):
    Study.create(tmp_path / "s", SETTINGS).close()
    return tmp_path / "s"


def test_settings_come_back(path):
    with Study.open(path) as study:
        assert study.settings == SETTINGS and type(study.settings["target_ms"]) is float


def test_equal_settings_continue(path):
    with Study.open_or_create(path, {**SETTINGS, "target_ms": 3, "list": (1, 2)}) as study:
        study.propose([Proposal((0,), "a", 0)])
    with Study.open_or_create(path, SETTINGS) as study:
        assert len(study.running()) == 1


def test_other_settings_are_all_listed(path):
    given = {**SETTINGS, "target_ms": 5.5, "data": "other", "budget_s": 1.0, "new": True}
    del given["width"]
    with pytest.raises(StudyError) as caught:
        Study.open_or_create(path, given, may_change={"budget_s"})
    text = str(caught.value)
    assert "target_ms: stored 3, given 5.5" in text and 'data: stored "pictures", given "other"' in text
    assert "new: stored nothing, given true" in text and "width: stored null, given nothing" in text
    assert "budget_s" not in text and "--study" in text
    with Study.open(path) as study:
        assert study.settings == SETTINGS, "nothing changed, and the lock is free again"


def test_some_settings_may_change(path):
    Study.open_or_create(path, {**SETTINGS, "budget_s": 60.0}, may_change={"budget_s"}).close()
    with Study.open(path, read_only=True) as study:
        assert study.settings == {**SETTINGS, "budget_s": 60.0}


@pytest.mark.parametrize("bad", [{"a": float("nan")}, {"a": object()}])
def test_settings_must_be_json(tmp_path, bad):
    with pytest.raises(UsageError, match="JSON"):
        Study.create(tmp_path / "s", bad)
    assert not (tmp_path / "s").exists()


def test_create_refuses_what_is_there(path, tmp_path):
    with pytest.raises(StudyError, match="a study already"):
        Study.create(path, SETTINGS)
    (tmp_path / "holiday.jpg").write_bytes(b"")
    with pytest.raises(StudyError, match=r"holiday\.jpg"):
        Study.open_or_create(tmp_path, SETTINGS)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["holiday.jpg", "s"]


@pytest.mark.parametrize("read_only", [False, True])
def test_no_study(tmp_path, read_only):
    for path in (tmp_path, tmp_path / "absent"):
        with pytest.raises(StudyError, match="holds no study"):
            Study.open(path, read_only=read_only)


def test_file_where_the_directory_should_be(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StudyError, match="a file is where a directory is needed"):
        Study.create(tmp_path / "file", {})
    with pytest.raises(StudyError, match="a file is where a directory is needed"):
        Study.create(tmp_path / "file" / "s", {})


@pytest.mark.parametrize("read_only", [False, True])
def test_newer_format_names_its_writer(path, read_only):
    with sqlite3.connect(path / "study.sqlite") as connection:
        connection.execute("PRAGMA user_version = 99")
        connection.execute("UPDATE about SET value = '7.8.9' WHERE name = 'nasfit'")
    with pytest.raises(StudyError, match=r"written by nasfit 7\.8\.9 \(format 99"):
        Study.open(path, read_only=read_only)


@pytest.mark.parametrize("read_only", [False, True])
def test_other_database_is_no_study(tmp_path, read_only):
    with sqlite3.connect(tmp_path / "study.sqlite") as connection:
        connection.execute("CREATE TABLE trials (number)")
    with pytest.raises(StudyError, match="no nasfit study"):
        Study.open(tmp_path, read_only=read_only)


@pytest.mark.parametrize("read_only", [False, True])
@pytest.mark.parametrize("damage", ["text", "middle", "cut"])
def test_damaged_file(path, read_only, damage):
    file = path / "study.sqlite"
    content = file.read_bytes()
    broken = {
        "text": b"not a database" * 1000,
        "middle": content[:4096] + os.urandom(8192) + content[12288:],
        "cut": content[: len(content) // 2],
    }
    file.write_bytes(broken[damage])
    with pytest.raises(StudyError, match="damaged"):
        Study.open(path, read_only=read_only)


@pytest.mark.parametrize(
    "statement", ["UPDATE trials SET tokens = '[1,'", "UPDATE trials SET state = 'odd'", "UPDATE trials SET number = 3"]
)
def test_damaged_trial(path, statement):
    with Study.open(path) as study:
        study.propose([Proposal((0,), "a", 0)])
    with sqlite3.connect(path / "study.sqlite") as connection:
        connection.execute(statement)
    with Study.open(path) as study, pytest.raises(StudyError, match="damaged"):
        study.trials()


def test_damaged_setting(path):
    with sqlite3.connect(path / "study.sqlite") as connection:
        connection.execute("UPDATE settings SET value = '[1,'")
    with Study.open(path) as study, pytest.raises(StudyError, match="damaged"):
        study.settings  # noqa: B018


def test_half_created_study_is_created(tmp_path):
    (tmp_path / "study.lock").write_bytes(b"12345")
    (tmp_path / "study.sqlite.new").write_bytes(b"half")
    (tmp_path / "study.sqlite.new-journal").write_bytes(b"half")
    with Study.open_or_create(tmp_path, SETTINGS) as study:
        assert study.settings == SETTINGS
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["study.lock", "study.sqlite"]


def test_awkward_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with Study.create("100 % a?b#ü", {"a": 1}) as study:
        study.propose([Proposal((0,), "a", 0)])
        monkeypatch.chdir("/")
        assert len(study.running()) == 1
    assert (tmp_path / "100 % a?b#ü" / "study.sqlite").is_file()


def test_second_driver_is_told_the_first_ones_process(path):
    with Study.open(path), pytest.raises(StudyError, match=f"driven by process {os.getpid()}"):
        Study.open(path)
    (path / "study.lock").write_bytes(b"9" * 20)
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=hold, args=(path, theirs), daemon=True)
    process.start()
    ours.recv()
    with pytest.raises(StudyError, match=f"driven by process {process.pid};"):
        Study.open(path)
    Study.open(path, read_only=True).close()
    process.kill()
    process.join()
    Study.open(path).close()


def test_failed_opening_lets_go_of_the_lock(path):
    with sqlite3.connect(path / "study.sqlite") as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(StudyError, match="format 99"):
        Study.open(path)
    with sqlite3.connect(path / "study.sqlite") as connection:
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    Study.open(path).close()


def test_a_study_has_its_write_ahead_log_from_the_start(tmp_path):
    # Switched on later, it would leave a moment in which a kill makes the study unreadable to `read_only`.
    create(tmp_path, {}, "")
    assert [entry.name for entry in tmp_path.iterdir()] == ["study.sqlite"]
    with sqlite3.connect(tmp_path / "study.sqlite") as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_every_write_is_flushed_and_logged(path):
    with Study.open(path) as study, study._engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2


def test_disk_without_write_ahead_log_is_refused(path, monkeypatch):
    # As on a network disk: SQLite's unix-dotfile locking has no shared memory, and keeps the old journal mode.
    connect = sqlite3.connect
    with connect(path / "study.sqlite") as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
    monkeypatch.setattr(
        "nasfit.study.database.sqlite3.connect", lambda address, **how: connect(address + "&vfs=unix-dotfile", **how)
    )
    for attempt in (lambda: Study.open(path), lambda: Study.create(path.with_name("t"), {})):
        with pytest.raises(StudyError, match="write-ahead log"):
            attempt()


def test_tables_are_plain_to_other_tools(path):
    with Study.open(path) as study:
        study.propose([Proposal((4, 2), "a", 0)])
    with sqlite3.connect(path / "study.sqlite") as connection:
        tokens, state = connection.execute("SELECT tokens, state FROM trials").fetchone()
    assert json.loads(tokens) == [4, 2] and state == "running"
