import os
import signal
import time

import pytest
import worker_jobs as jobs
from worker_jobs import gone

from nasfit.errors import NasfitError, TrialFailure, UsageError
from nasfit.workers import Pool, available_cores
from nasfit.workers.pool import _shares


@pytest.fixture(scope="module")
def pool():
    with Pool(2) as pool:
        yield pool


def test_every_item_comes_once(pool):
    results = list(pool.run(jobs.square, range(500)))
    assert sorted(results) == [(number, number * number) for number in range(500)]


def test_no_items(pool):
    assert list(pool.run(jobs.square, [])) == []


def test_results_come_as_they_finish_and_workers_persist(pool):
    pids = pool.pids
    results = list(pool.run(jobs.nap, [0.5, 0.0, 0.0]))
    assert [index for index, _ in results] == [1, 2, 0]
    assert {pid for _, pid in results} == set(pids) == set(pool.pids)


def test_payloads_are_drawn_as_workers_become_free(pool):
    drawn = []
    run = pool.run(jobs.square, (drawn.append(number) or number for number in range(50)))
    next(run)
    assert len(drawn) <= 4
    assert len(list(run)) == 49


def test_calls_started_one_by_one(pool):
    assert pool.free == 2
    assert pool.start(7, jobs.end, 3) and pool.start(8, jobs.end, "kill")
    assert not pool.start(9, jobs.end, 4) and pool.free == 0
    found = {}
    while len(found) < 2:
        found |= pool.finished()
    assert found[7] == 9 and "SIGKILL" in str(found[8])
    while pool.free < 2:
        assert pool.finished() == []
    assert dict(pool.run(jobs.square, [5])) == {0: 25}


def test_calls_that_nobody_waits_for(pool):
    assert pool.start(1, jobs.end, "sleep")
    pool.abandon()
    assert pool.finished(0.0) == [] and dict(pool.run(jobs.square, [5, 6])) == {0: 25, 1: 36}


def test_waiting_for_nothing_ends(pool):
    while pool.free < 2:
        pool.finished()
    since = time.monotonic()
    assert pool.finished(0.2) == []
    assert 0.1 < time.monotonic() - since < 2


def test_a_paused_pool_goes_on_where_it_was(pool):
    assert pool.start(1, jobs.nap, 0.3)
    pool.pause()
    assert pool.finished(0.6) == []
    pool.resume()
    pool.resume()
    assert [item for item, _ in pool.finished(60.0)] == [1]


def test_large_payloads_and_results(pool):
    blob = os.urandom(8_000_000)
    assert [value for _, value in pool.run(bytes, [blob, blob])] == [blob, blob]


def test_workers_are_set_up_before_anything_is_imported(pool):
    cores = sorted(os.sched_getaffinity(0))
    found = [value for _, value in pool.run(jobs.surroundings, range(20))]
    assert {tuple(one["cores"]) for one in found} <= {(core,) for core in cores[:2]}
    for one in found:
        assert one["threads"] == "1" and one["interrupt"] is signal.SIG_IGN and one["session"] and not one["torch"]


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ("kill", "its worker was ended by SIGKILL (often: out of memory)"),
        ("segfault", "its worker was ended by SIGSEGV"),
        ("exit", "its worker ended with exit code 7"),
        ("complain", "its worker ended with exit code 3: last words"),
        ("sysexit", "SystemExit: enough"),
        ("raise", "KeyError: 'missing\\nkey'"),
        ("trial", "accuracy is not finite"),
        ("unpicklable", "AttributeError: Can't pickle local object 'end.<locals>.<lambda>.<locals>.<lambda>'"),
        ("unreadable", "its result cannot be read: ValueError: invalid literal for int() with base 10: 'no number'"),
    ],
)
def test_a_failure_costs_one_item_only(pool, how, reason):
    results = dict(pool.run(jobs.end, [1, 2, how, 3, 4, 5]))
    failure = results.pop(2)
    assert isinstance(failure, TrialFailure) and str(failure) == reason
    assert results == {0: 1, 1: 4, 3: 9, 4: 16, 5: 25}
    assert len(pool.pids) == 2


def test_a_child_that_keeps_the_pipe_open_does_not_hide_a_death(pool):
    since = time.monotonic()
    assert "exit code 9" in str(next(pool.run(jobs.end, ["fork"]))[1])
    assert time.monotonic() - since < 6, "it was noticed only when the child ended, after 8 s"


def test_reasons_are_one_short_line_and_the_trace_is_a_note(pool):
    (_, failure), (_, long) = sorted(pool.run(jobs.end, ["raise", "long"]))
    assert "\n" not in str(failure) and "in end" in failure.__notes__[0]
    assert len(str(long)) == 300
    (_, crash) = next(pool.run(jobs.end, ["segfault"]))
    assert "Segmentation fault" in crash.__notes__[0]


def test_every_item_may_kill_its_worker(pool):
    results = dict(pool.run(jobs.end, ["exit"] * 5 + ["kill"]))
    assert len(results) == 6 and all(isinstance(value, TrialFailure) for value in results.values())
    assert dict(pool.run(jobs.square, [3])) == {0: 9}


@pytest.mark.parametrize("how", ["sleep", "stubborn"])
def test_timeout_ends_one_worker(pool, how):
    before, since = pool.pids, time.monotonic()
    results = dict(pool.run(jobs.end, [how, 2, 3], timeout_s=1.0))
    assert str(results[0]) == "no result within 1 s; its worker was ended"
    assert (results[1], results[2]) == (4, 9) and time.monotonic() - since < 10
    assert len(set(before) & set(pool.pids)) == 1


@pytest.mark.parametrize("before", [jobs.square, jobs.leave_a_child])
def test_worker_killed_between_runs_costs_nothing(pool, before):
    list(pool.run(jobs.nap, [0.1] * 4))
    list(pool.run(before, range(4)))
    for pid in pool.pids:
        os.kill(pid, signal.SIGKILL)
        while not gone(pid):
            time.sleep(0.01)
    assert dict(pool.run(jobs.square, range(6))) == {number: number * number for number in range(6)}


def test_leaving_a_run_ends_its_calls_and_the_pool_goes_on():
    with Pool(2) as pool:
        run = pool.run(jobs.nap, [0.0, 60.0, 60.0, 60.0])
        next(run)
        at_work = pool.pids
        run.close()
        assert sum(gone(pid) for pid in at_work) == 1, "the one that had finished lives on"
        since = time.monotonic()
        assert len(list(pool.run(jobs.square, range(4)))) == 4 and time.monotonic() - since < 10


def test_one_run_at_a_time(pool):
    run = pool.run(jobs.square, range(4))
    next(run)
    with pytest.raises(UsageError, match="at work"):
        pool.run(jobs.square, [1])
    run.close()


def test_what_cannot_be_imported_or_sent_is_refused(pool):
    with pytest.raises(UsageError, match="top level of a module"):
        pool.run(lambda number: number, [1])
    with pytest.raises(UsageError, match="item 1 cannot be sent"):
        list(pool.run(jobs.square, [1, lambda: None]))
    assert dict(pool.run(jobs.square, [2])) == {0: 4}


def test_initializer_runs_in_every_worker_and_replacement():
    with Pool(2, initializer=jobs.remember, initargs=("here",)) as pool:
        assert {value for _, value in pool.run(jobs.recall, range(6))} == {"here"}
        list(pool.run(jobs.end, ["kill", "kill"]))
        assert {value for _, value in pool.run(jobs.recall, range(6))} == {"here"}


@pytest.mark.parametrize(
    ("initializer", "words"),
    [
        (jobs.bad_start, "cannot start: ImportError: no module named 'moonshine'"),
        (jobs.dying_start, "cannot start: its worker ended with exit code 5"),
        (jobs.hanging_start, "cannot start: no result within 2 s"),
    ],
)
def test_worker_that_cannot_start_is_an_error_at_once(initializer, words):
    with pytest.raises(NasfitError, match=words):
        Pool(2, initializer=initializer, start_timeout_s=2.0)


def test_replacement_that_cannot_start_is_an_error_and_no_hang(tmp_path):
    with (
        Pool(1, initializer=jobs.start_once, initargs=(str(tmp_path / "marker"),)) as pool,
        pytest.raises(NasfitError, match="cannot start: FileExistsError"),
    ):
        list(pool.run(jobs.end, ["kill", 1]))


def test_memory_limit_fails_the_item():
    with Pool(1, memory_bytes=500_000_000) as pool:
        results = dict(pool.run(jobs.end, ["memory", 2]))
    assert str(results[0]) == "MemoryError" and results[1] == 4


def test_threads_and_cores():
    with Pool(1, threads=2) as pool:
        (_, found) = next(pool.run(jobs.surroundings, [None]))
    assert found["threads"] == "2" and found["cores"] == sorted(os.sched_getaffinity(0))[:2]
    assert _shares([4, 5, 7, 8], 2, 2) == [(4, 5), (7, 8)]
    assert _shares([4, 5], 3, 1) == [(4,), (5,), (4,)]


def test_close_ends_workers_even_at_work():
    pool = Pool(2)
    run = pool.run(jobs.nap, [0.0, 60.0, 60.0])
    next(run)
    pids = pool.pids
    pool.close()
    pool.close()
    assert all(gone(pid) for pid in pids)
    for use in (lambda: pool.run(jobs.square, [1]), lambda: next(run)):
        with pytest.raises(UsageError, match="closed"):
            use()


@pytest.mark.parametrize("bad", [{"workers": 0}, {"workers": 1, "threads": 0}])
def test_numbers_must_be_positive(bad):
    with pytest.raises(UsageError, match="1 or more"):
        Pool(**bad)


@pytest.mark.parametrize(
    ("text", "expected"), [("max 100000", 8), ("250000 100000", 2), ("5000 100000", 1), ("9900000 100000", 8), ("", 8)]
)
def test_available_cores_respects_a_containers_share(tmp_path, monkeypatch, text, expected):
    monkeypatch.setattr("nasfit.workers.cores.usable_cores", lambda: list(range(8)))
    (tmp_path / "cpu.max").write_text(text)
    assert available_cores(tmp_path / "cpu.max") == expected
    assert available_cores(tmp_path / "absent") == 8


def test_available_cores_here():
    assert 1 <= available_cores() <= len(os.sched_getaffinity(0))
