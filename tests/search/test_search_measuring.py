"""Several devices that measure for one search."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from nasfit.architecture import Architecture
from nasfit.devices import LocalDevice
from nasfit.errors import DeviceError, TrialFailure
from nasfit.latency import Candidate, Measurement
from nasfit.search.measuring import Instrument, likenesses

NETWORK = Architecture.parse("in3@24 stem8s2 | sepconv k3 s1 se0 none f8 n1 | head16 out3 relu")


class Phone(LocalDevice):
    """This machine by another name. times: how many times as long it takes; None: it runs nothing."""

    def __init__(self, name: str, times: float | None) -> None:
        super().__init__()
        self.name, self.times = name, times


@pytest.fixture
def instrument(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Instrument]:
    class Told(Measurement):
        def __init__(self, latency_ms: float) -> None:
            object.__setattr__(self, "latency_ms", latency_ms)

    def measure(device: Phone, models: dict[str, Candidate]) -> dict[str, Measurement | TrialFailure]:
        result = TrialFailure("too large") if device.times is None else Told(2.0 * device.times)
        return dict.fromkeys(models, result)

    monkeypatch.setattr("nasfit.search.measuring.measure", measure)

    def made(*times: float | None) -> Instrument:
        first, *others = (Phone(f"adb:{number}", one) for number, one in enumerate(times))
        return Instrument(first, others=tuple(others))

    return made


def test_each_is_compared_with_the_first(instrument: Callable[..., Instrument]) -> None:
    assert likenesses(instrument(1.0, 1.05, 0.9), NETWORK) == {"adb:1": 1.05, "adb:2": 0.9}
    assert likenesses(instrument(1.0), NETWORK) == {}


@pytest.mark.parametrize("times", [1.3, 0.7])
def test_one_that_is_faster_or_slower_than_the_others_is_refused(
    instrument: Callable[..., Instrument], times: float
) -> None:
    with pytest.raises(DeviceError, match=f"adb:2 takes {times:.2f} times as long as adb:0"):
        likenesses(instrument(1.0, 1.0, times), NETWORK)


def test_one_that_runs_nothing_is_refused(instrument: Callable[..., Instrument]) -> None:
    with pytest.raises(DeviceError, match=r"adb:1 does not run a network.*too large"):
        likenesses(instrument(1.0, None), NETWORK)
