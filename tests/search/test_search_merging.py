"""Several studies as one."""

from dataclasses import replace

import pytest

from nasfit.errors import StudyError, UsageError
from nasfit.search import Settings
from nasfit.search.merging import merged
from nasfit.space import named_space
from nasfit.study import LookedUp, Proposal, Study, TrialState

PLAN = {"width": 0.35, "strides": "early", "resolution": 28, "proxy_images": 400, "evaluator": "standalone"}
INSTRUMENT = {"device": "a board", "engine": "litert 2.3"}


def made(path, *, plan=PLAN, instrument=INSTRUMENT, pictures="f", **settings):
    """Three ended trials in two batches, the second of them a repeat of the first, and one at work."""
    given = Settings(**{"data": "pictures", "target_ms": 3.0, "budget_s": 60.0, **settings})
    with Study.create(path, given.as_json()) as study:
        study.put_document("plan", plan)
        study.put_document("space", named_space("mnasnet-lean").facts)
        study.put_document("data", {"directory": "data/x", "fingerprint": pictures})
        study.put_document("result", {"of": str(path)})
        seed = given.seed
        _, *trials = study.propose([Proposal((seed, n), f"net {seed} {n}", seed, "guided") for n in range(4)])
        ended = [replace(t, state=TrialState.COMPLETE, accuracy=0.5, latency_ms=1.5, worker="a:1") for t in trials]
        ended[1] = replace(ended[1], duplicate_of=ended[0].number)
        study.finish(ended[:2])
        study.finish(ended[2:])
        study.measurements["shared"] = instrument
        study.measurements[f"own {seed}"] = instrument
        study.lookups.add([LookedUp((9, 9), 1.0), LookedUp((seed, 8), 2.0)])
        study.add_seconds("search", 10.0)
    return path


def test_all_trials_are_there_in_their_order_and_numbered_anew(tmp_path):
    first, second = made(tmp_path / "a", seed=1), made(tmp_path / "b", seed=2)
    done = merged([first, second], tmp_path / "all")
    assert (done.trials, done.left) == (6, 2) and "validation pictures" in done.notes[0]
    with Study.open(tmp_path / "all") as study:
        assert study.running() == []
        assert [[trial.number for trial in batch] for batch in study.batches()] == [[0, 1], [2], [3, 4], [5]]
        assert [trial.duplicate_of for trial in study.trials()] == [None, 0, None, None, 3, None]
        with Study.open(second, read_only=True) as source:
            for ours, theirs in zip(study.trials()[3:], source.trials()[1:], strict=True):
                assert replace(ours, number=0, duplicate_of=None) == replace(theirs, number=0, duplicate_of=None)
        assert study.settings["budget_s"] == 120.0 and study.seconds() == {"search": 20.0}
        assert sorted(study.measurements) == ["own 1", "own 2", "shared"]
        assert [look.tokens for look in study.lookups.all()] == [(9, 9), (1, 8), (2, 8)]
        assert study.document("plan") == PLAN and study.document("space")["name"] == "mnasnet-lean"
        assert study.document("result") is None and study.document("data") is None


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"target_ms": 2.0}, "target_ms: 3.0 and 2.0"),
        ({"plan": {**PLAN, "proxy_images": 500}}, "proxy_images: 400 and 500"),
        ({"instrument": {**INSTRUMENT, "device": "a phone"}}, "device and engine"),
        ({"seed": 1, "pictures": "g"}, "the pictures"),
        ({"plan": {**PLAN, "evaluator": "pool"}}, "compare with no other"),
        ({"plan": {**PLAN, "evaluator": "inherit"}}, "compare with no other"),
        ({"plan": None}, "beyond its calibration"),
    ],
)
def test_studies_that_cannot_be_compared_are_refused_and_nothing_is_written(tmp_path, change, reason):
    first, second = made(tmp_path / "a", seed=1), made(tmp_path / "b", **{"seed": 2, **change})
    with pytest.raises(StudyError, match=reason):
        merged([first, second], tmp_path / "all")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


def test_one_study_or_a_place_that_is_taken_is_refused(tmp_path):
    first = made(tmp_path / "a")
    with pytest.raises(UsageError, match="two different studies"):
        merged([first, tmp_path / "b" / ".." / "a"], tmp_path / "all")
    with pytest.raises(StudyError, match="exists already"):
        merged([first, made(tmp_path / "b")], first)


def test_a_merge_that_was_killed_is_made_anew(tmp_path, monkeypatch):
    studies = [made(tmp_path / "a", seed=1), made(tmp_path / "b", seed=2)]
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("nasfit.search.merging._renumbered", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        merged(studies, tmp_path / "all")
    assert not (tmp_path / "all").exists()
    assert merged(studies, tmp_path / "all").trials == 6
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "all", "b"]
