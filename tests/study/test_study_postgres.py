"""What only a study in PostgreSQL can do: many machines, a server that goes away."""

from __future__ import annotations

import multiprocessing
import signal
import sys
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path

import pytest
from postgres_server import schema_of
from sqlalchemy import create_engine
from study_writer import ended

from nasfit.errors import MissingExtraError, StudyBusy, StudyError, UsageError
from nasfit.study import Member, Proposal, Study, holds_study
from nasfit.study.postgres import address_of

pytestmark = pytest.mark.usefixtures("store")


@pytest.fixture(params=["postgres"])
def store(request, tmp_path, postgres):
    return f"{postgres.url}&schema={schema_of(tmp_path)}"


def proposed(study, number=1):
    first = len(study.trials())
    return study.propose([Proposal((first + n,), f"net {first + n}", 2**62) for n in range(number)])


def test_an_address_has_one_schema_a_study_and_no_password():
    url = address_of("postgresql://me@db.example:5433/search", "Photos-5ms-seed0")
    assert url.query["schema"] == "nasfit_photos_5ms_seed0" and url.port == 5433
    assert address_of("postgresql:///x?schema=mine", "a").query["schema"] == "mine"


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("postgresql://me:secret@host/db", r"~/\.pgpass"),
        ("postgresql://me@host/db?password=secret", r"~/\.pgpass"),
        ("mysql://me:secret@host/db", "give postgresql"),
        ("postgresql://me@host", "give postgresql"),
        ("somewhere", "is no address"),
        ('postgresql:///db?schema=x";drop', "small letters"),
    ],
)
def test_a_wrong_address_is_refused_and_its_password_not_repeated(address, reason):
    with pytest.raises(UsageError, match=reason) as found:
        address_of(address, "study")
    assert "secret" not in str(found.value)


def test_the_directory_finds_its_tables(tmp_path, store):
    with Study.create(tmp_path / "a", {"target_ms": 3.0}, store=store) as study:
        (trial,) = proposed(study)
        study.finish([ended(trial)])
    assert holds_study(tmp_path / "a") and not (tmp_path / "a" / "study.sqlite").exists()
    with Study.open(tmp_path / "a", read_only=True) as study:
        assert study.trials()[0].accuracy == 0.5 and study.trials()[0].seed == 2**62
        assert not study.driven()


def test_another_machine_sees_it_driven_and_helps(tmp_path, store):
    with Study.create(tmp_path / "a", {"target_ms": 3.0}, store=store) as study:
        study.members.join(Member("driver", "a", 1, 2, drives=True))
        # Another directory stands for another machine: nothing else is shared.
        with pytest.raises(StudyBusy, match="is being driven"):
            Study.open_or_create(tmp_path / "b", {"target_ms": 3.0}, store=store)
        with Study.help(tmp_path / "b") as helper:
            assert helper.driven() and helper.settings == {"target_ms": 3.0}
            proposed(study)
            assert len(helper.trials()) == 1
            study.finish([ended(study.running()[0])])
            assert helper.running() == []
            study.close()
            assert not helper.driven()
    with Study.open_or_create(tmp_path / "b", {"target_ms": 3.0}, store=store) as study:
        assert len(study.trials()) == 1


def test_files_reach_the_other_machine(tmp_path, store):
    with Study.create(tmp_path / "a", {}, store=store) as study:
        with pytest.raises(StudyBusy):
            Study.open_or_create(tmp_path / "b", {}, store=store)
        study.write_file("models/x", b"\x00weights")
        study.carried.send("models/x")
        with Study.help(tmp_path / "b") as helper:
            helper.carried.fetch("models/x")
            helper.carried.fetch("models/unknown")
            assert (tmp_path / "b" / "models" / "x").read_bytes() == b"\x00weights"
            helper.carried.forget("models/x")
        (tmp_path / "a" / "models" / "x").unlink()
        study.carried.fetch("models/x")
        assert not (tmp_path / "a" / "models" / "x").exists()


def test_a_study_stays_in_its_store(tmp_path, store):
    Study.create(tmp_path / "here", {}).close()
    with pytest.raises(StudyError, match="is kept in its directory, not in postgresql"):
        Study.open_or_create(tmp_path / "here", {}, store=store)
    Study.create(tmp_path / "there", {}, store=store).close()
    with pytest.raises(StudyError, match=r"is kept in postgresql.*not in postgresql"):
        Study.open_or_create(tmp_path / "there", {}, store=store + "q")
    with pytest.raises(StudyError, match="holds a study already"):
        Study.create(tmp_path / "again", {}, store=store)
    Study.open_or_create(tmp_path / "there", {}).close()


def test_without_a_study_or_a_server_it_says_so(tmp_path, store):
    with pytest.raises(StudyError, match="does not answer"):
        Study.open_or_create(tmp_path / "a", {}, store="postgresql://me@/db?host=/nowhere")
    Study.create(tmp_path / "b", {}, store=store).close()
    (tmp_path / "b" / "study.url").write_text(
        (tmp_path / "b" / "study.url").read_text().replace("schema=", "schema=gone_")
    )
    with pytest.raises(StudyError, match="holds no study"):
        Study.open(tmp_path / "b")


def test_a_newer_format_is_refused(tmp_path, store):
    with Study.create(tmp_path / "a", {}, store=store) as study, study._engine.begin() as connection:
        connection.exec_driver_sql("UPDATE about SET value = '99' WHERE name = 'format'")
    with pytest.raises(StudyError, match="format 99"):
        Study.open(tmp_path / "a")


def test_without_its_library_the_extra_is_named(tmp_path, store, monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(MissingExtraError, match=r"nasfit\[postgres\]"):
        Study.create(tmp_path / "a", {}, store=store)


@pytest.mark.fault
def test_a_restarted_server_ends_the_driver_and_loses_nothing(tmp_path, store, postgres):
    study = Study.create(tmp_path / "a", {}, store=store)
    first, second = proposed(study, 2)
    study.finish([ended(first)])
    postgres.stop()
    with pytest.raises(StudyError, match="everything recorded is kept"):
        study.finish([ended(second)])
    postgres.start()
    # Connected anew it would no longer hold the lock.
    with pytest.raises(StudyError, match="lost the connection"):
        study.finish([ended(second)])
    study.close()
    with Study.open(tmp_path / "a") as again:
        assert [trial.number for trial in again.running()] == [second.number]
        again.finish([ended(again.running()[0])])
        assert len(again.batches()) == 2


def drive(path: Path, store: str, told: Connection) -> None:
    try:
        study = Study.open_or_create(path, {}, store=store)
    except StudyBusy:
        told.send("busy")
        return
    told.send("drives")
    told.recv()
    while True:
        study.finish([ended(trial) for trial in proposed(study)])
        told.send(len(study.trials()))


@pytest.mark.fault
def test_of_drivers_started_at_once_on_two_machines_one_drives_and_a_killed_one_frees_the_study(tmp_path, store):
    context = multiprocessing.get_context("spawn")
    pipes = [context.Pipe() for _ in range(3)]
    machines = [tmp_path / str(number) for number in range(len(pipes))]
    processes = [
        context.Process(target=drive, args=(path, store, theirs), daemon=True)
        for path, (_, theirs) in zip(machines, pipes, strict=True)
    ]
    for process in processes:
        process.start()
    said = [ours.recv() for ours, _ in pipes]
    assert sorted(said) == ["busy", "busy", "drives"]
    driver = said.index("drives")
    ours = pipes[driver][0]
    ours.send("go")
    while ours.recv() < 3:
        pass
    processes[driver].kill()
    processes[driver].join()
    assert processes[driver].exitcode == -signal.SIGKILL
    with Study.open_or_create(machines[1 - min(driver, 1)], {}, store=store) as study:
        assert len(study.trials()) >= 3 and len(study.running()) <= 1
        study.finish([replace(ended(trial)) for trial in study.running()])


def test_a_study_of_an_earlier_format_is_brought_up_to_date_by_its_next_driver(tmp_path, store, postgres):
    with Study.create(tmp_path / "a", {"target_ms": 3.0}, store=store) as study:
        (trial,) = proposed(study)
        study.finish([ended(trial)])
    earlier = create_engine(postgres.url.replace("postgresql:", "postgresql+psycopg:"))
    with earlier.begin() as connection:
        connection.exec_driver_sql(f"ALTER TABLE {schema_of(tmp_path)}.trials DROP COLUMN worker")
        connection.exec_driver_sql(f"UPDATE {schema_of(tmp_path)}.about SET value = '3' WHERE name = 'format'")
    with pytest.raises(StudyError, match="of an earlier nasfit"):
        Study.open(tmp_path / "a", read_only=True)
    with Study.open(tmp_path / "a") as study:
        assert study.trials()[0].worker == ""
        (trial,) = proposed(study)
        study.finish([replace(ended(trial), worker="a:1")])
    with Study.open(tmp_path / "a", read_only=True) as study:
        assert [trial.worker for trial in study.trials()] == ["", "a:1"]


def test_a_study_of_a_later_format_says_so(tmp_path, store, postgres):
    Study.create(tmp_path / "a", {}, store=store).close()
    with create_engine(postgres.url.replace("postgresql:", "postgresql+psycopg:")).begin() as connection:
        connection.exec_driver_sql(f"UPDATE {schema_of(tmp_path)}.about SET value = '99' WHERE name = 'format'")
    for read_only in (True, False):
        with pytest.raises(StudyError, match=r"format 99.*install that nasfit or a newer one"):
            Study.open(tmp_path / "a", read_only=read_only)
