"""Jobs and members of a study, from one process and from many."""

import multiprocessing
from dataclasses import replace

import pytest

from nasfit.errors import StudyError, UsageError
from nasfit.study import Job, Member, Outcome, Pulse, Study
from nasfit.study.members import LAPSE_S

DRIVER = Member("driver", "here", 1, 2, drives=True)
HELPER = Member("helper", "there", 2, 4)
JOBS = [Job(f"job {number}", {"architecture": "a", "images": number / 3}, 10.0) for number in range(3)]


@pytest.fixture
def study(tmp_path, store):
    with Study.create(tmp_path / "study", {}) as study:
        study.members.join(DRIVER)
        yield study


def test_a_job_is_claimed_once_oldest_first(study):
    study.jobs.post(JOBS)
    assert study.jobs.claim("a", 2) == [replace(job, attempts=1) for job in JOBS[:2]]
    assert study.jobs.claim("b", 2) == [replace(JOBS[2], attempts=1)]
    assert study.jobs.claim("a") == []
    assert study.jobs.owned("a") == {"job 0", "job 1"}


def test_a_job_ends_once(study):
    study.jobs.post(JOBS)
    study.jobs.claim("a", 3)
    assert study.jobs.end("job 0", Outcome(0.1 + 0.2))
    assert not study.jobs.end("job 0", Outcome(0.5))
    assert study.jobs.end("job 1", Outcome(failure="diverged", note="where"))
    assert not study.jobs.end("nobody's", Outcome(0.5))
    ends = {"job 0": Outcome(0.1 + 0.2), "job 1": Outcome(failure="diverged", note="where")}
    assert study.jobs.outcomes([job.key for job in JOBS]) == ends
    assert study.jobs.owned("a") == {"job 2"}


def test_posted_again_it_is_the_same_job(study):
    study.jobs.post(JOBS[:1])
    study.jobs.claim("a")
    study.jobs.end("job 0", Outcome([1, 2]))
    study.jobs.post(JOBS)
    assert study.jobs.outcomes(["job 0", "job 1"]) == {"job 0": Outcome([1, 2])}
    assert [job.key for job in study.jobs.claim("b", 9)] == ["job 1", "job 2"]


def test_a_job_may_be_its_member_s_from_the_start_and_replace_others(study):
    study.jobs.post(JOBS[:2])
    study.jobs.end("job 0", Outcome(3))
    known = study.jobs.post(JOBS, owner="me", instead_of=["job 1"])
    assert known == {"job 0": Outcome(3)}
    assert study.jobs.owned("me") == {"job 1", "job 2"}
    assert study.jobs.claim("other", 9) == []
    assert study.jobs.post(JOBS[1:2]) == {"job 1": None}
    study.jobs.release("me")
    assert [(job.key, job.attempts) for job in study.jobs.claim("other", 9)] == [("job 1", 2), ("job 2", 2)]


def test_a_job_twice_in_one_call_is_refused(study):
    with pytest.raises(UsageError, match="twice"):
        study.jobs.post([JOBS[0], JOBS[0]])
    assert study.jobs.claim("a") == []


def test_forgotten_jobs_are_gone(study):
    study.jobs.post(JOBS)
    study.jobs.claim("a")
    study.jobs.forget([])
    study.jobs.forget(["job 0", "job 1"])
    assert not study.jobs.end("job 0", Outcome(1))
    assert [job.key for job in study.jobs.claim("a", 9)] == ["job 2"]


def test_at_the_end_all_are_gone(study):
    study.jobs.post(JOBS)
    study.jobs.claim("a", 1)
    study.jobs.end("job 1", Outcome(0.5))
    study.jobs.clear()
    assert study.jobs.claim("b", 3) == [] and study.jobs.outcomes([job.key for job in JOBS]) == {}


def test_what_the_dead_had_is_free_again(study):
    study.members.join(HELPER)
    study.jobs.post(JOBS)
    study.jobs.claim("helper", 2)
    study.jobs.end("job 0", Outcome(1))
    study.members.leave(["helper"])
    assert study.members.all() == [DRIVER]
    assert [(job.key, job.attempts) for job in study.jobs.claim("driver", 9)] == [("job 1", 2), ("job 2", 1)]


def test_a_new_driver_takes_the_place_of_the_last(study):
    study.members.join(HELPER)
    study.jobs.post(JOBS)
    study.jobs.claim("driver")
    study.jobs.claim("helper")
    study.members.join(replace(DRIVER, name="driver 2"))
    assert [member.name for member in study.members.all()] == ["driver 2", "helper"]
    assert study.jobs.owned("helper") == {"job 1"}
    assert [job.key for job in study.jobs.claim("driver 2", 9)] == ["job 0", "job 2"]


def test_a_beat_tells_of_quiet_and_brings_back_who_was_given_up(study):
    study.members.join(HELPER)
    study.members.beat(replace(HELPER, quiet=True))
    assert study.members.all()[1] == replace(HELPER, beat=1, quiet=True)
    study.members.leave(["helper"])
    study.members.beat(HELPER)
    assert study.members.all() == [DRIVER, HELPER]


def test_a_helper_writes_jobs_and_nothing_else(study):
    study.jobs.post(JOBS)
    with Study.help(study.path) as helper:
        helper.members.join(HELPER)
        (job,) = helper.jobs.claim("helper")
        assert helper.jobs.end(job.key, Outcome(0.5))
        with pytest.raises(StudyError, match="reading only"):
            helper.put_document("plan", {})
        assert study.jobs.outcomes([job.key]) == {job.key: Outcome(0.5)}
        study.put_document("plan", {"width": 1})
        assert helper.document("plan") == {"width": 1}
    with pytest.raises(StudyError, match="closed"):
        helper.jobs.claim("helper")
    with Study.open(study.path, read_only=True) as reader, pytest.raises(StudyError, match="reading only"):
        reader.jobs.claim("reader")


def test_whose_beat_stands_still_has_lapsed():
    now = 100.0
    pulse = Pulse(lambda: now)
    beating = HELPER
    for _ in range(12):
        assert pulse.lapsed([DRIVER, beating]) == []
        now += LAPSE_S / 12
        beating = replace(beating, beat=beating.beat + 1)
    assert pulse.lapsed([DRIVER, beating]) == [DRIVER]
    assert pulse.lapsed([replace(DRIVER, beat=1), beating]) == []


def test_who_was_away_declares_nobody_dead():
    now = 0.0
    pulse = Pulse(lambda: now)
    pulse.lapsed([HELPER])
    now += 2 * LAPSE_S
    assert pulse.lapsed([HELPER]) == []
    now += LAPSE_S / 3
    pulse.lapsed([HELPER])
    now += LAPSE_S / 3
    pulse.lapsed([HELPER])
    now += LAPSE_S / 3
    assert pulse.lapsed([HELPER]) == [HELPER]


def work(path, name, ended):
    """Does jobs until there are none, and tells which it was the first to end."""
    with Study.help(path) as study:
        mine = []
        while jobs := study.jobs.claim(name, 2):
            mine += [job.key for job in jobs if study.jobs.end(job.key, Outcome(name))]
        ended.send(mine)


def test_many_processes_share_the_jobs_without_doing_one_twice(study):
    jobs = [Job(f"job {number}", number) for number in range(200)]
    study.jobs.post(jobs)
    context = multiprocessing.get_context("spawn")
    pipes = [context.Pipe(duplex=False) for _ in range(4)]
    processes = [
        context.Process(target=work, args=(study.path, f"helper {number}", theirs))
        for number, (_, theirs) in enumerate(pipes)
    ]
    for process in processes:
        process.start()
    each = [ours.recv() for ours, _ in pipes]
    for process in processes:
        process.join()
    assert sorted(key for keys in each for key in keys) == sorted(job.key for job in jobs)
    owners = {key: outcome.value for key, outcome in study.jobs.outcomes([job.key for job in jobs]).items()}
    assert owners == {key: f"helper {number}" for number, keys in enumerate(each) for key in keys}
