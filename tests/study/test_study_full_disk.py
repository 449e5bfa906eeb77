import os
import subprocess

import pytest
from study_writer import ended

from nasfit.errors import StudyError
from nasfit.study import Proposal, Study


@pytest.fixture
def small_disk(tmp_path):
    """A disk of half a megabyte; a function makes it read-only or writable."""
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", tmp_path], capture_output=True).returncode:
        pytest.skip("mounting a small disk needs more rights")

    def remount(how):
        subprocess.run(["mount", "-o", f"remount,{how}", tmp_path], check=True)

    yield tmp_path, remount
    subprocess.run(["umount", "-l", tmp_path], check=True)


def points(count, size=10):
    return [Proposal((number,), "x" * size, 0) for number in range(count)]


def fill_up(study):
    """Work until the disk is full."""
    for _ in range(1000):
        study.finish([ended(trial) for trial in study.propose(points(4, 1000))])
    raise AssertionError("the disk never filled up")


def test_full_database_loses_nothing_and_goes_on(tmp_path):
    with Study.create(tmp_path / "s", {}) as study:
        trials = study.propose(points(2))
        with study._engine.connect() as connection:
            pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
            connection.exec_driver_sql(f"PRAGMA max_page_count = {pages + 2}")
        with pytest.raises(StudyError, match=r"disk is full; free some space"):
            study.propose(points(50, 1000))
        with pytest.raises(StudyError, match=r"disk is full; free some space"):
            study.put_document("a", "x" * 100_000)
        assert study.trials() == trials and study.document("a") is None
        with study._engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA max_page_count = 100000")
        assert len(study.propose(points(50, 1000))) == 50
        study.finish([ended(trials[1])])
        assert len(study.trials()) == 52 and [trial.number for trial in study.batches()[0]] == [1]


def test_full_disk(small_disk):
    disk, remount = small_disk
    with Study.create(disk / "s", {}) as study:
        with pytest.raises(StudyError, match="full"):
            fill_up(study)
        kept = len(study.batches())
        with pytest.raises(StudyError, match="disk is full"):
            study.write_file("a.onnx", os.urandom(600_000))
        assert not any("a.onnx" in entry.name for entry in study.path.iterdir())
        assert kept and len(study.batches()) == kept
        remount("size=4m")
        ended_now = [ended(trial) for trial in study.running()] or [ended(study.propose(points(1))[0])]
        study.finish(ended_now)
    with Study.open(disk / "s") as study:
        assert len(study.batches()) == kept + 1


def test_no_room_to_create(small_disk):
    disk, _ = small_disk
    (disk / "ballast").write_bytes(b"x" * 500_000)
    with pytest.raises(StudyError, match="full"):
        Study.create(disk / "s", {})
    (disk / "ballast").unlink()
    Study.create(disk / "s", {}).close()


def test_read_only_disk_can_be_read(small_disk):
    disk, remount = small_disk
    with Study.create(disk / "s", {"a": 1}) as study:
        trials = study.propose(points(3))
    remount("ro")
    with Study.open(disk / "s", read_only=True) as study:
        assert study.trials() == trials and study.settings == {"a": 1}
    with pytest.raises(StudyError, match="cannot be written"):
        Study.open(disk / "s")
    with pytest.raises(StudyError, match="cannot be written"):
        Study.create(disk / "t", {})
    remount("rw")


def test_read_only_disk_with_a_log_left_behind(small_disk):
    disk, remount = small_disk
    source = Study.create(disk / "s", {})
    trials = source.propose(points(3))
    # What a killed driver leaves: the trials are in the log only.
    (disk / "t").mkdir()
    for name in ("study.sqlite", "study.sqlite-wal"):
        (disk / "t" / name).write_bytes((disk / "s" / name).read_bytes())
    source.close()
    remount("ro")
    with pytest.raises(StudyError, match="cannot be opened"):
        Study.open(disk / "t", read_only=True)
    remount("rw")
    with Study.open(disk / "t", read_only=True) as study:
        assert study.trials() == trials


def test_disk_that_turns_read_only_under_a_driver(tmp_path):
    with Study.create(tmp_path / "s", {}) as study:
        trials = study.propose(points(1))
        with study._engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA query_only = 1")
        with pytest.raises(StudyError, match="cannot be written"):
            study.finish([ended(trials[0])])
        assert study.running() == trials
