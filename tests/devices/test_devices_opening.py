"""Several devices by one name."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nasfit.devices import LocalDevice, open_devices
from nasfit.errors import DeviceError, UnknownNameError, UsageError


@pytest.fixture
def phones(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What each says that it is."""
    kinds = {"adb:A": "Tensor", "adb:B": "Tensor", "adb:C": "Exynos"}
    here = LocalDevice().describe()

    class Phone:
        model_format = "tflite"

        def __init__(self, name: str, engine: str) -> None:
            self.name = name

        def describe(self) -> object:
            return replace(here, device=self.name, cpu=kinds[self.name])

    monkeypatch.setattr("nasfit.devices.opening.open_device", lambda name, engine: Phone(name, engine))
    return kinds


def test_phones_of_one_kind_are_taken_together(phones: dict[str, str]) -> None:
    assert [device.name for device in open_devices("adb:A, adb:B")] == ["adb:A", "adb:B"]


def test_another_kind_or_one_twice_is_refused(phones: dict[str, str]) -> None:
    with pytest.raises(DeviceError, match=r"adb:C is Exynos.*adb:A is Tensor.*devices alike"):
        open_devices("adb:A,adb:B,adb:C")
    with pytest.raises(UsageError, match="'adb:A' comes twice"):
        open_devices("adb:A,adb:B,adb:A")


def test_one_name_is_one_device_and_a_wrong_one_is_told() -> None:
    assert [device.name for device in open_devices("local")] == ["local"]
    with pytest.raises(UnknownNameError, match="local"):
        open_devices("local,locl")
