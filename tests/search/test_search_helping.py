"""Trainings shared with other processes, which come, pause, go and are killed."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from postgres_server import Server, schema_of

from nasfit.errors import StudyBusy, StudyError, TrialFailure, UsageError
from nasfit.search import Settings
from nasfit.search.data import prepared
from nasfit.search.far_training import FarTrainings
from nasfit.search.helping import helped
from nasfit.search.job_text import job_of, job_text, key_of, outcome_of, result_of
from nasfit.search.shared_pool import SharedPool
from nasfit.study import Job, Study
from nasfit.study.driver_lock import DriverLock
from nasfit.tasks import Mistake
from nasfit.training import Pace, Recipe, StopRule, TrainingJob, TrainingResult, run_training
from nasfit.workers import Pool

NETWORK = "in3@24 stem8s2 | sepconv k3 s1 se0 none f8 n1 | head16 out3 relu"
RESULT = TrainingResult(
    1 / 3, ((64, 1.25),), 100.0, 0.1, "cpu", None, ((32, 0.5),), True, 0.25, mistakes=(Mistake(3, 1, 0.875),)
)


@pytest.fixture
def study(tmp_path: Path, pictures: Path) -> Iterator[Study]:
    settings = Settings(str(pictures), 1.0, workers=1)
    with Study.create(tmp_path / "study", settings.as_json()) as study:
        prepared(settings, study)
        yield study


@pytest.fixture
def shared(study: Study) -> Iterator[SharedPool]:
    with Pool(1) as pool:
        shared = SharedPool(pool, study)
        yield shared
        shared.close()


def jobs(study: Study, number: int, images: int = 64) -> list[TrainingJob]:
    (data,) = [place for place in (study.path / "data").iterdir() if place.is_dir()]
    return [TrainingJob(NETWORK, str(data), Recipe(images, batch=16), seed) for seed in range(number)]


@contextmanager
def helper(study: Study, directory: Path | None = None, *store: str) -> Iterator[subprocess.Popen[str]]:
    """Another process that helps, from the moment that it takes part."""
    script = str(Path(__file__).with_name("helper.py"))
    command = [sys.executable, script, str(directory or study.path), *store]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        assert "1 workers here help it" in process.stdout.readline()
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def fates(pid: int) -> set[str]:
    """The states of a process's children, as Linux letters."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return {Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()[0] for child in children}


def trained(shared: SharedPool, wanted: list[TrainingJob]) -> list[TrainingResult]:
    found: dict[int, Any] = dict(shared.run(run_training, wanted))
    assert sorted(found) == list(range(len(wanted)))
    return [found[place] for place in range(len(wanted))]


def accuracies(results: list[TrainingResult]) -> list[tuple[float, Any]]:
    return [(result.accuracy, result.curve) for result in results]


def test_a_job_survives_json(study: Study) -> None:
    (job,) = jobs(study, 1)
    job = replace(job, stops=(StopRule(32, 0.1), StopRule(48)), pace=Pace("bf16", True), start=f"{study.path}/models/a")
    text = job_text(job, study.path)
    study.jobs.post([Job(key_of(text), text)])
    (claimed,) = study.jobs.claim("me")
    assert job_of(claimed.payload, study.path) == job
    assert str(study.path) not in str(text)
    assert key_of(claimed.payload) == key_of(text) != key_of(job_text(replace(job, seed=9), study.path))
    study.jobs.end(key_of(text), outcome_of(RESULT))
    assert result_of(study.jobs.outcomes([key_of(text)])[key_of(text)]) == RESULT


def test_a_failure_survives_json_with_its_note() -> None:
    failure = TrialFailure("diverged")
    failure.add_note("where")
    again = result_of(outcome_of(failure))
    assert isinstance(again, TrialFailure) and str(again) == "diverged" and again.__notes__ == ["where"]


@pytest.mark.parametrize(
    "change",
    [
        {"weights": "../elsewhere"},
        {"weights": "/etc/passwd"},
        {"data": 3},
        {"recipe": {"image": 3}},
        {"stops": [{"at_images": -1}]},
        {"pace": {"precision": "fp8"}},
        {"more": 1},
    ],
)
def test_what_is_no_job_or_leaves_the_study_is_refused(study: Study, change: dict[str, Any]) -> None:
    text = job_text(jobs(study, 1)[0], study.path)
    with pytest.raises(StudyError, match="does not read"):
        job_of({**text, **change}, study.path)


def test_alone_it_is_the_pool_and_leaves_nothing(study: Study, shared: SharedPool) -> None:
    wanted = jobs(study, 3)
    results = trained(shared, [*wanted, wanted[0]])
    with Pool(1) as pool:
        alone = dict(pool.run(run_training, wanted))
    assert accuracies(results[:3]) == accuracies([alone[place] for place in range(3)])  # type: ignore[list-item]
    assert accuracies(results[3:]) == accuracies(results[:1])
    assert shared.workers == 1
    keys = [key_of(job_text(job, study.path)) for job in wanted]
    assert study.jobs.outcomes(keys) == {} and study.jobs.claim("me") == []


def test_a_failed_training_is_told_as_one(study: Study, shared: SharedPool) -> None:
    wanted = jobs(study, 2)
    found = dict(shared.run(run_training, [replace(wanted[0], data=f"{study.path}/nowhere"), wanted[1]]))
    assert isinstance(found[0], TrialFailure) and isinstance(found[1], TrainingResult)


def test_what_was_trained_before_the_driver_died_is_not_trained_again(study: Study, shared: SharedPool) -> None:
    (job,) = jobs(study, 1)
    text = job_text(job, study.path)
    study.jobs.post([Job(key_of(text), text)])
    study.jobs.end(key_of(text), outcome_of(RESULT))
    assert trained(shared, [job]) == [RESULT]


def test_a_helper_does_its_share(study: Study, shared: SharedPool) -> None:
    wanted = jobs(study, 12, images=1600)
    with helper(study) as process:
        assert shared.workers == 2
        owners = set()
        run = shared.run(run_training, wanted)
        results = {}
        for index, value in run:
            results[index] = value
            owners |= {one.name for one in study.members.all() if study.jobs.owned(one.name)}
        assert len(owners) == 2
        assert study._lock is not None
        study._lock.release()
        assert process.stdout is not None
        assert "driver has ended" in process.stdout.readline()
        assert process.wait(timeout=20) == 0
    with Pool(1) as pool:
        alone = dict(pool.run(run_training, wanted[:4]))
    assert accuracies([results[place] for place in range(4)]) == accuracies([alone[place] for place in range(4)])  # type: ignore[list-item,misc]


@pytest.fixture
def far_study(tmp_path: Path, pictures: Path, postgres: Server) -> Iterator[tuple[Study, str]]:
    """One that other machines can help, and its address."""
    settings = Settings(str(pictures), 1.0, workers=1)
    store = f"{postgres.url}&schema={schema_of(tmp_path)}"
    with Study.create(tmp_path / "study", settings.as_json(), store=store) as study:
        prepared(settings, study)
        yield study, store


@pytest.mark.slow
def test_a_helper_on_another_machine_needs_nothing_but_the_database(far_study: tuple[Study, str]) -> None:
    # Another directory stands for another machine.
    study, store = far_study
    wanted = [
        replace(job, weights=f"{study.path}/models/{job.seed}.safetensors") for job in jobs(study, 8, images=1600)
    ]
    (study.path / "models").mkdir()
    with Pool(1) as pool:
        shared = SharedPool(pool, study)
        with helper(study, study.path.with_name("elsewhere"), store):
            (name,) = [one.name for one in study.members.all() if not one.drives]
            results, theirs = {}, set()
            for index, value in shared.run(run_training, wanted):
                results[index] = value
                theirs |= study.jobs.owned(name)
        assert theirs and all(isinstance(value, TrainingResult) for value in results.values())
        again = [replace(job, start=job.weights, weights=None) for job in wanted]
        assert all(isinstance(value, TrainingResult) and value.inherited == 1.0 for value in trained(shared, again))
        shared.close()
    (elsewhere,) = (study.path.with_name("elsewhere") / "data").glob("*/")
    assert elsewhere.name == Path(wanted[0].data).name


@pytest.mark.slow
@pytest.mark.fault
def test_what_a_killed_helper_had_is_done_by_others(
    study: Study, shared: SharedPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    with helper(study) as process:
        run = shared.run(run_training, jobs(study, 6, images=3200))
        next(run)
        (name,) = [one.name for one in study.members.all() if not one.drives]
        while not study.jobs.owned(name):
            next(run)
        process.send_signal(signal.SIGKILL)
        monkeypatch.setattr("nasfit.study.members.LAPSE_S", 1.0)
        rest = list(run)
        assert all(isinstance(value, TrainingResult) for _, value in rest)
        assert shared.workers == 1 and len(study.members.all()) == 1


@pytest.mark.slow
@pytest.mark.fault
def test_a_helper_that_was_paused_for_long_takes_part_again(
    study: Study, shared: SharedPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    with helper(study) as process:
        process.send_signal(signal.SIGSTOP)
        monkeypatch.setattr("nasfit.study.members.LAPSE_S", 1.0)
        while shared.workers > 1:
            time.sleep(0.1)
        assert len(trained(shared, jobs(study, 2))) == 2
        process.send_signal(signal.SIGCONT)
        monkeypatch.setattr("nasfit.study.members.LAPSE_S", 30.0)
        while shared.workers < 2:
            time.sleep(0.1)


def test_helpers_on_this_machine_are_paused_while_it_is_to_be_quiet(study: Study, shared: SharedPool) -> None:
    with helper(study) as process:
        while "R" not in fates(process.pid) and "S" not in fates(process.pid):
            time.sleep(0.05)
        with shared.quiet():
            assert fates(process.pid) == {"T"}
        since = time.monotonic()
        while fates(process.pid) == {"T"}:
            assert time.monotonic() - since < 5
            time.sleep(0.02)


def test_without_a_core_left_nobody_helps_unless_told_to(study: Study, shared: SharedPool) -> None:
    with Pool(1) as pool:
        everything = SharedPool(pool, study)
        study.members.join(replace(everything._me, name="another", workers=10_000, drives=False))
        settings = Settings(**{**study.settings, "workers": None})
        with pytest.raises(StudyBusy, match=r"it is driven; or help it .*--workers N"):
            next(helped(settings, study.path, ("workers",), StudyBusy("it is driven")))


def test_only_the_studys_own_search_can_help_it(study: Study, shared: SharedPool) -> None:
    settings = Settings(**{**study.settings, "target_ms": 2.0})
    with pytest.raises(StudyError, match="target_ms: stored 1, given 2"):
        next(helped(settings, study.path, ("workers",), StudyBusy("it is driven")))


@pytest.fixture
def one_thread() -> Iterator[None]:
    """As in a worker: the last bit of a sum depends on the number."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def test_a_training_far_away_has_pictures_and_weights_sent(study: Study, one_thread: None) -> None:
    sent: list[bytes] = []
    travelling = FarTrainings(study.path, lambda value: sent.append(value) or value)  # type: ignore[func-returns-value]
    (first, second) = (replace(job, weights=f"{study.path}/models/{job.seed}") for job in jobs(study, 2))
    far, (_, text, *rest, start) = travelling.packed(first)
    assert start is None and len(sent) == 1
    carried = far("/no such directory", text, *rest, start)
    assert not (study.path / "models").exists()
    result = travelling.unpacked(first, carried)
    with Pool(1) as pool:
        (study.path / "models").mkdir(exist_ok=True)
        alone: Any = dict(pool.run(run_training, [replace(first, weights=None)]))[0]
    assert (result.accuracy, result.curve) == (alone.accuracy, alone.curve)
    far, (_, text, *rest, start) = travelling.packed(replace(second, start=first.weights, weights=None))
    assert len(sent) == 1 and start == Path(first.weights or "").read_bytes()
    assert far("/no such directory", text, *rest, start).result.inherited == 1.0


def test_pictures_too_many_to_send_are_refused(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nasfit.search.far_training.MOST_BYTES", 100)
    with pytest.raises(UsageError, match="a disk that all machines of the cluster share"):
        FarTrainings(study.path, lambda value: value).packed(jobs(study, 1)[0])


def test_who_comes_before_the_tables_are_made_waits_for_them(pictures: Path, tmp_path: Path) -> None:
    settings = Settings(str(pictures), 1.0, workers=1)
    busy = StudyBusy("driven")
    (tmp_path / "study").mkdir()
    lock = DriverLock(tmp_path / "study")
    events = helped(settings, tmp_path / "study", (), busy)
    found: list[object] = []
    waiting = threading.Thread(target=lambda: found.append(next(events, None)))
    waiting.start()
    time.sleep(0.5)
    assert waiting.is_alive() and not found
    lock.release()
    waiting.join(timeout=10)
    assert found == [None]
