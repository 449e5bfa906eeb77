import multiprocessing
import random
import time

import pytest
from study_writer import LOOKS, ended, write

from nasfit.errors import StudyError
from nasfit.study import LookedUp, Proposal, Study, TrialState

CREATIONS, ROUNDS = 20, 40


def told_before_kill(path, context, messages, delay_s):
    """What a driver had said was stored when it was killed, some time after so many messages."""
    ours, theirs = context.Pipe()
    process = context.Process(target=write, args=(path, theirs), daemon=True)
    process.start()
    theirs.close()
    told = [ours.recv() for _ in range(messages)]
    time.sleep(delay_s)
    process.kill()
    process.join()
    while True:
        try:
            told.append(ours.recv())
        except (EOFError, ConnectionResetError):
            return told


@pytest.fixture
def context():
    # Forks from a process that has imported everything, for hundreds of drivers a minute.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["nasfit.study.study", "study_writer"])
    return context


def test_killed_creation_leaves_a_whole_study_or_none(tmp_path, context):
    random.seed(1)
    for number in range(CREATIONS):
        path = tmp_path / str(number)
        told = told_before_kill(path, context, 1, random.uniform(0.0, 0.1))
        if (path / "study.sqlite").exists():
            Study.open(path, read_only=True).close()
        else:
            assert told == [("awake", [])]
        Study.open_or_create(path, {"target_ms": 3.0}).close()


def test_nothing_stored_is_lost_to_kills_and_nothing_comes_twice(tmp_path, context):
    random.seed(0)
    path = tmp_path / "s"
    finished, seconds, looked_up = [], 0, 0
    for kills in range(1, ROUNDS + 1):
        told = told_before_kill(path, context, random.randrange(2, 12), random.uniform(0.0, 0.02))
        finished += [number for kind, numbers in told if kind == "finished" for number in numbers]
        seconds += sum(kind == "seconds" for kind, _ in told)
        looked_up += sum(len(numbers) for kind, numbers in told if kind == "looked up")
        with Study.open(path, read_only=random.random() < 0.5) as study:
            check(
                study, finished, [number for kind, numbers in told if kind == "proposed" for number in numbers], kills
            )
            assert seconds <= study.seconds().get("search", 0.0) <= seconds + kills
            looks = study.lookups.all()
            assert looks == [LookedUp((number, 1), 1 / 3, 0.5) for number in range(len(looks))]
            assert len(looks) % LOOKS == 0 and looked_up <= len(looks) <= looked_up + LOOKS * kills
    print(f"{ROUNDS} drivers killed at work, {len(finished)} trials told as stored")


def check(study, finished, proposed, kills):
    trials = study.trials()
    assert len(set(finished)) == len(finished)
    assert [trial.number for trial in trials] == list(range(len(trials)))
    assert {trial.number for trial in trials} >= set(proposed)
    assert all(
        trials[number].state is TrialState.COMPLETE and trials[number].reward == 0.1 + 0.2 for number in finished
    )
    # Beyond what was told, a kill leaves at most one call's trials: stored, but killed before it could say so.
    stored = [trial.number for batch in study.batches() for trial in batch]
    assert len(set(stored)) == len(stored) and set(stored) >= set(finished)
    assert len(stored) - len(finished) <= 2 * kills
    assert len(study.running()) <= 3


def test_eight_thousand_trials_open_fast(tmp_path):
    with Study.create(tmp_path / "s", {}) as study:
        versions = {"nasfit": "1"}
        points = [Proposal((1,) * 42, f"{number} {'x' * 300}", 0, versions=versions) for number in range(8000)]
        study.finish([ended(trial) for trial in study.propose(points)])
    since = time.perf_counter()
    with Study.open(tmp_path / "s") as study:
        assert len(study.trials()) == 8000
        print(f"8,000 trials opened in {time.perf_counter() - since:.2f} s")
        since = time.perf_counter()
        study.trials()
        assert time.perf_counter() - since < 0.1, "a driver reads its trials from memory"


@pytest.mark.parametrize("relative", ["a.bin", "nets/best.onnx"])
def test_file_is_old_or_new_after_a_failure(tmp_path, relative, monkeypatch):
    with Study.create(tmp_path / "s", {}) as study:
        file = study.write_file(relative, b"old")
        assert file == tmp_path / "s" / relative and file.read_bytes() == b"old"

        def fail(descriptor):
            raise OSError(28, "No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr("nasfit.study.files.os.fsync", fail)
            with pytest.raises(StudyError, match="disk is full"):
                study.write_file(relative, b"new")
        assert (
            file.read_bytes() == b"old" and [entry.name for entry in file.parent.iterdir() if "unf" in entry.name] == []
        )
        with file.open("rb") as earlier:
            study.write_file(relative, b"new")
            assert earlier.read() == b"old", "replaced, not overwritten"
        assert file.read_bytes() == b"new"
