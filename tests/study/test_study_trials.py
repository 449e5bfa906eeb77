from dataclasses import fields, replace

import pytest
from study_writer import ended

from nasfit.errors import StudyError, UsageError
from nasfit.study import Member, Proposal, Rung, Study, Trial, TrialState
from nasfit.study.tables import _FIELDS


@pytest.fixture
def study(tmp_path, store):
    with Study.create(tmp_path / "s", {"target_ms": 3.0}, clock=iter_clock()) as study:
        yield study


def iter_clock():
    times = iter(f"2026-01-01T00:00:{second:02d}.000+00:00" for second in range(60))
    return lambda: next(times)


def proposals(*names):
    return [
        Proposal((index, 2), name, seed=7, origin="random", versions={"nasfit": "1"})
        for index, name in enumerate(names)
    ]


def reopened(study):
    study.close()
    return Study.open(study.path)


def test_columns_follow_the_fields():
    assert tuple(field.name for field in fields(Trial)) == _FIELDS


def test_proposed_trials_are_stored_running(study):
    trials = study.propose(proposals("a", "b"))
    assert [trial.number for trial in trials] == [0, 1]
    assert trials[1].origin == "random" and trials[1].versions == {"nasfit": "1"}
    assert trials[1].tokens == (1, 2) and trials[1].started and not trials[1].finished
    with reopened(study) as again:
        assert again.trials() == again.running() == trials
        assert [trial.number for trial in again.propose(proposals("c"))] == [2]


def test_finished_trial_comes_back_to_the_last_bit(study):
    (trial,) = study.propose(proposals("a"))
    (stored,) = study.finish([replace(ended(trial), duplicate_of=0, reason="ä\n'\"")])
    with reopened(study) as again:
        assert again.trials() == [stored]
        assert again.trials()[0].reward == 0.1 + 0.2 and stored.finished > stored.started
        assert again.running() == []


def test_states_filter(study):
    first, second, _, fourth = study.propose(proposals("a", "b", "c", "d"))
    study.finish([replace(first, state=TrialState.PRUNED), ended(second), replace(fourth, state=TrialState.STOPPED)])
    assert [trial.number for trial in study.trials([TrialState.PRUNED, TrialState.RUNNING])] == [0, 2]
    assert study.find_architecture("d").state is TrialState.STOPPED
    assert study.find_architecture("c") is None


@pytest.mark.parametrize("rung", [(0, 0.5), (10, 1.5), (10, 0.5, -0.1)])
def test_rungs_are_in_range(rung):
    with pytest.raises(UsageError, match="accuracies from 0 to 1"):
        Rung(*rung)


def test_a_trial_is_hopeless_below_its_bound():
    assert [Rung(10, 0.5, below).hopeless for below in (None, 0.5, 0.51)] == [False, False, True]


def test_batches_keep_the_order_of_finishing(study):
    trials = study.propose(proposals(*"abcdef"))
    for batch in ((4, 1), (5,), (0, 3, 2)):
        study.finish([ended(trials[number]) for number in batch])
    expected = [[4, 1], [5], [0, 3, 2]]
    assert [[trial.number for trial in batch] for batch in study.batches()] == expected
    with reopened(study) as again:
        assert [[trial.number for trial in batch] for batch in again.batches()] == expected
        again.finish([])
        (last,) = again.propose(proposals("g"))
        again.finish([ended(last)])
        assert [trial.number for trial in again.batches()[-1]] == [6]


def test_find_architecture_gives_the_oldest_finished(study):
    first, second, third = study.propose(proposals("a", "a", "a"))
    assert study.find_architecture("a") is None
    study.finish([ended(third)])
    study.finish([replace(second, state=TrialState.FAILED, reason="broke")])
    assert study.find_architecture("a").number == 1
    assert study.find_architecture("a", [TrialState.COMPLETE]).number == 2
    assert study.find_architecture("a", [TrialState.RUNNING]) == first
    assert study.find_architecture("b") is None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"state": TrialState.RUNNING}, "still running"),
        ({"number": 5}, "not proposed by this study"),
        ({"number": -1}, "not proposed by this study"),
        ({"architecture": "other"}, "not proposed by this study"),
    ],
)
def test_finish_refuses_what_was_not_proposed(study, change, words):
    first, second = study.propose(proposals("a", "b"))
    with pytest.raises(UsageError, match=words):
        study.finish([ended(first), replace(ended(second), **change)])
    assert len(study.running()) == 2 and study.batches() == []


def test_finish_takes_each_trial_once(study):
    (trial,) = study.propose(proposals("a"))
    with pytest.raises(UsageError, match="twice"):
        study.finish([ended(trial), ended(trial)])
    study.finish([ended(trial)])
    with pytest.raises(UsageError, match="complete already"):
        study.finish([ended(trial)])


@pytest.mark.parametrize(
    "bad",
    [
        {"accuracy": 1.01},
        {"accuracy": float("nan")},
        {"latency_ms": 0.0},
        {"latency_ms": float("inf")},
        {"reward": float("nan")},
        {"reward": float("-inf")},
    ],
)
def test_values_out_of_range_are_no_trial(bad):
    with pytest.raises(UsageError, match="must be"):
        Trial(0, (1,), "a", 0, **bad)


def test_seed_must_fit():
    with pytest.raises(UsageError, match="64 bits"):
        Proposal((0,), "a", 2**63)


def test_reader_follows_a_driver_at_work(study):
    with Study.open(study.path, read_only=True) as reader:
        assert reader.trials() == []
        (trial,) = study.propose(proposals("a"))
        assert reader.running() == [trial]
        study.finish([ended(trial)])
        assert [t.state for t in reader.trials()] == [TrialState.COMPLETE] and len(reader.batches()) == 1
        with pytest.raises(StudyError, match="reading only"):
            reader.propose(proposals("b"))
        with pytest.raises(StudyError, match="reading only"):
            reader.write_file("a.txt", b"")


def test_a_reader_that_looks_now_and_then_sees_what_one_sees_who_looks_once(study):
    with Study.open(study.path, read_only=True) as reader:
        for names in ("abc", "bd", "e"):
            trials = study.propose(proposals(*names))
            reader.trials()
            study.finish([ended(trial) for trial in trials[1:]])
            reader.trials()
            study.finish([ended(study.running()[0])])
        study.propose(proposals("f", "g"))
        with Study.open(study.path, read_only=True) as fresh:
            assert reader.trials() == fresh.trials() == study.trials()
            assert reader.batches() == fresh.batches() == study.batches()
            for name in "abcdefg":
                assert reader.find_architecture(name) == fresh.find_architecture(name)


def test_what_a_reader_compares_changes_with_all_but_beats(study):
    study.measurements["m"] = {"ms": 1.0}
    (trial,) = study.propose(proposals("a"))
    with Study.open(study.path, read_only=True) as reader:
        stamps = [reader.stamp()]
        study.members.join(Member("me", "here", 1, 1))
        study.measurements["n"] = {"ms": 2.0}
        assert reader.stamp() == stamps[0]
        for change in (
            lambda: study.finish([ended(trial)]),
            lambda: study.put_document("plan", {"width": 0.5}),
            lambda: study.put_document("plan", {"width": 0.6}),
            lambda: study.add_seconds("search", 1.0),
            lambda: study.propose(proposals("b")),
        ):
            change()
            stamps.append(reader.stamp())
        assert len(set(stamps)) == len(stamps) and reader.stamp() == stamps[-1]
        assert len(reader.lookups) == 0 and reader.measurements.several(["m", "x", "n"]) == {
            "m": {"ms": 1.0},
            "n": {"ms": 2.0},
        }


def test_closed_study_says_so(study):
    study.close()
    study.close()
    for call in (study.trials, study.seconds, lambda: study.add_seconds("search", 1.0), lambda: study.settings):
        with pytest.raises(StudyError, match="closed"):
            call()
