import pytest

from nasfit.errors import StudyError, UsageError
from nasfit.study import LookedUp, Study

LOOKS = [LookedUp((2, 1), 1 / 3, -0.25), LookedUp((0, 1), None, reason="it does not run"), LookedUp((1, 1), 2.5)]


@pytest.fixture
def study(tmp_path, store):
    with Study.create(tmp_path / "s", {}) as study:
        yield study


def test_lookups_last_in_their_order(study):
    study.lookups.add(LOOKS[:1])
    study.lookups.add(LOOKS[1:])
    study.lookups.add([])
    study.close()
    with Study.open(study.path, read_only=True) as again:
        assert again.lookups.all() == LOOKS


def test_a_point_comes_once_or_nothing_is_stored(study):
    study.lookups.add(LOOKS[:1])
    for again in (LOOKS, [LOOKS[1], LOOKS[1]]):
        with pytest.raises(UsageError, match="was looked up before"):
            study.lookups.add(again)
    assert study.lookups.all() == LOOKS[:1]


@pytest.mark.parametrize(
    "bad", [{"latency_ms": 0.0}, {"latency_ms": float("inf")}, {"latency_ms": 1.0, "excess": float("nan")}]
)
def test_values_are_in_range(bad):
    with pytest.raises(UsageError, match="must be finite"):
        LookedUp((0,), **bad)


def test_a_reader_adds_nothing(study):
    with Study.open(study.path, read_only=True) as reader, pytest.raises(StudyError, match="reading only"):
        reader.lookups.add(LOOKS)
