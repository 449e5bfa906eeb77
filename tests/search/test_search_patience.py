"""A device that goes away is waited for, and only that."""

from __future__ import annotations

import logging
from collections.abc import Callable

import pytest

from nasfit.errors import DeviceError, DeviceGone
from nasfit.search.patience import until_back


class Flaky:
    """Describes itself again after so many attempts."""

    name = "board"

    def __init__(self, away: int) -> None:
        self.away = away

    def describe(self) -> None:
        self.away -= 1
        if self.away > 0:
            raise DeviceGone("board does not answer")


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    taken: list[float] = []
    monkeypatch.setattr("nasfit.search.patience.time.sleep", taken.append)
    return taken


def failing(times: int, error: Exception) -> Callable[[], str]:
    left = [times]

    def work() -> str:
        left[0] -= 1
        if left[0] >= 0:
            raise error
        return "done"

    return work


def test_waits_says_so_and_begins_anew(pauses: list[float], caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "nasfit.search"):
        assert until_back(Flaky(4), failing(2, DeviceGone("board was cut off"))) == "done"  # type: ignore[arg-type]
    assert pauses == [1.0, 2.0, 4.0]
    said = [record.getMessage() for record in caplog.records]
    assert said[0] == "board was cut off; waiting for it, Ctrl-C stops and loses nothing"
    assert said[1] == "device board is back; going on"
    assert len(said) == 4


def test_other_errors_pass(pauses: list[float]) -> None:
    with pytest.raises(DeviceError, match="no engine"):
        until_back(Flaky(0), failing(1, DeviceError("no engine")))  # type: ignore[arg-type]
    assert pauses == []
