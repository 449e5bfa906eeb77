from collections.abc import MutableMapping
from dataclasses import replace

import pytest

from nasfit.errors import UsageError
from nasfit.study import Proposal, Study, TrialState


@pytest.fixture
def study(tmp_path, store):
    with Study.create(tmp_path / "s", {}) as study:
        yield study


def test_measurements_are_a_mapping_that_lasts(study):
    cache = study.measurements
    assert isinstance(cache, MutableMapping) and len(cache) == 0 and "a" not in cache
    cache["b"] = {"latency_ms": 1 / 3, "samples": [1.0, 2.0]}
    cache["a"] = {"latency_ms": 2.0}
    cache["a"] = {"latency_ms": 3.0}
    study.close()
    with Study.open(study.path) as again:
        assert dict(again.measurements) == {
            "a": {"latency_ms": 3.0},
            "b": {"latency_ms": 1 / 3, "samples": [1.0, 2.0]},
        }
        assert list(again.measurements) == ["a", "b"]
        del again.measurements["a"]
        assert list(again.measurements) == ["b"]
        for use in (lambda: again.measurements["a"], lambda: again.measurements.pop("a")):
            with pytest.raises(KeyError):
                use()


def test_documents(study):
    assert study.document("result") is None
    study.put_document("result", {"best": 3})
    study.put_document("result", {"best": 4, "front": [1, None]})
    assert study.document("result") == {"best": 4, "front": [1, None]}
    assert "result" not in study.measurements


@pytest.mark.parametrize("value", [3.0, 2**70 + 1, "12", "3.0", None, True, 1 / 3, [3.0], {"a": [1, "ä"]}])
def test_values_keep_their_type_and_every_digit(study, value):
    study.put_document("a", value)
    got = study.document("a")
    assert got == value and type(got) is type(value)


@pytest.mark.parametrize("bad", [float("nan"), {"a": float("inf")}])
def test_documents_are_json(study, bad):
    study.put_document("a", 1)
    with pytest.raises(UsageError, match="JSON"):
        study.put_document("a", bad)
    assert study.document("a") == 1


def test_trials_are_json_too(study):
    (trial,) = study.propose([Proposal((0,), "a", 0)])
    with pytest.raises(UsageError, match="JSON"):
        study.finish([replace(trial, state=TrialState.COMPLETE, curve=((1, float("nan")),))])
    assert study.running() == [trial]


def test_seconds_add_up_across_restarts(study):
    study.add_seconds("search", 1.5)
    study.add_seconds("search", 0.0)
    study.add_seconds("calibration", 2.0)
    study.close()
    with Study.open(study.path) as again:
        again.add_seconds("search", 1.0)
        assert again.seconds() == {"search": 2.5, "calibration": 2.0}


@pytest.mark.parametrize("bad", [-1.0, float("nan"), float("inf")])
def test_seconds_must_be_time(study, bad):
    with pytest.raises(UsageError, match="0 or more"):
        study.add_seconds("search", bad)
    assert study.seconds() == {}


@pytest.mark.parametrize("relative", ["", "/tmp/a", "../a", "a/../../b", "study.sqlite", "study.lock"])
def test_files_stay_inside_and_off_the_studys_own(study, relative):
    with pytest.raises(UsageError, match="inside the study"):
        study.write_file(relative, b"")
