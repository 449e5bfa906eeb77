"""Networks shared among devices of one kind."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from latency_bench import Scripted

from nasfit.devices import Sample
from nasfit.errors import DeviceError, DeviceGone
from nasfit.latency import Measurement, measure_shared

KEYS = {name: f"key {name}" for name in "abcdef"}
NETWORKS = dict.fromkeys("abcdef", b"file")


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nasfit.latency.measuring.time.sleep", lambda _: None)


class Bench(Scripted):
    """All networks in 4 ms; counts how many measure at the same moment. meets: waited for once in its first sample."""

    def __init__(self, gone: int | None = None, meets: threading.Barrier | None = None) -> None:
        super().__init__({name: lambda _: (4.0, 4.0) for name in NETWORKS}, gone=gone)
        self.meets, self.at_work, self.most = meets, 0, 0

    def sample(self, model: str, *, warm: int, runs: int) -> Sample:
        self.at_work += 1
        self.most = max(self.most, self.at_work)
        if self.meets is not None:
            self.meets.wait(timeout=20)
            self.meets = None
        try:
            return super().sample(model, warm=warm, runs=runs)
        finally:
            self.at_work -= 1

    @property
    def took(self) -> set[str]:
        return {name for name, _, _ in self.log}


def test_all_work_at_once_and_each_on_one_group() -> None:
    together = threading.Barrier(2)
    devices = [Bench(meets=together), Bench(meets=together)]
    found = measure_shared(devices, NETWORKS, KEYS)
    assert list(found) == list(NETWORKS)
    assert all(isinstance(result, Measurement) and result.latency_ms == 4.0 for result in found.values())
    assert sorted(len(device.took) for device in devices) == [3, 3] and not devices[0].took & devices[1].took
    assert [device.most for device in devices] == [1, 1]


def test_the_cache_is_used_by_its_own_thread_alone() -> None:
    class Owned(dict[str, Any]):
        owner = threading.get_ident()

        def __setitem__(self, key: str, value: Any) -> None:
            assert threading.get_ident() == self.owner
            super().__setitem__(key, value)

    cache = Owned()
    measure_shared([Bench(), Bench()], NETWORKS, KEYS, cache=cache)
    assert sorted(cache) == sorted(KEYS.values())
    devices = [Bench(), Bench()]
    assert len(measure_shared(devices, NETWORKS, KEYS, cache=cache)) == 6
    assert not devices[0].log and not devices[1].log


def test_the_others_take_over_from_one_that_goes_away() -> None:
    devices = [Bench(gone=5), Bench()]
    assert len(measure_shared(devices, NETWORKS, KEYS)) == 6
    assert devices[1].took == set(NETWORKS)


def test_with_all_gone_it_says_so_and_what_was_measured_is_kept() -> None:
    cache: dict[str, Any] = {}
    with pytest.raises(DeviceGone, match="unplugged"):
        measure_shared([Bench(gone=0), Bench(gone=70)], NETWORKS, KEYS, cache=cache)
    assert len(cache) == 3
    devices = [Bench(), Bench()]
    measure_shared(devices, NETWORKS, KEYS, cache=cache)
    assert len(devices[0].took | devices[1].took) == 3


def test_another_error_passes() -> None:
    class Full(Bench):
        def load(self, model: str, model_bytes: bytes) -> None:
            raise DeviceError("no space left")

    with pytest.raises(DeviceError, match="no space left"):
        measure_shared([Bench(), Full()], NETWORKS, KEYS)
