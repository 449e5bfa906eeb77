"""`nasfit devices` and `nasfit doctor`."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from nasfit.devices.check import Check
from nasfit.devices.listing import Found
from nasfit.errors import DeviceError
from nasfit.latency import Timing
from nasfit.latency.health import repeatability

Run = Callable[..., tuple[int, str, str]]

FOUND = [
    Found("local", "some processor, 8 cores; engines: litert", "ready", ""),
    Found("adb:123", "Pixel 8", "unauthorized", "accept the dialog on its screen"),
]


@pytest.fixture
def doctor(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The doctor's module, with a short measurement."""
    module = importlib.import_module("nasfit.cli.doctor")
    timing = Timing(min_rounds=11, max_rounds=11, span_s=0.0)
    monkeypatch.setattr(module, "repeatability", partial(repeatability, runs=2, timing=timing))
    monkeypatch.setattr(module, "_RESOLUTION", 24)
    return module


def test_devices_are_listed_with_what_to_do(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    module = importlib.import_module("nasfit.cli.listing_devices")
    monkeypatch.setattr(module, "found_devices", lambda: FOUND)
    code, out, _ = run("devices")
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()] == ["local", "adb:123", "accept"]
    code, out, _ = run("devices", "--json")
    assert code == 0
    assert json.loads(out)["devices"][1] == {
        "name": "adb:123",
        "what": "Pixel 8",
        "state": "unauthorized",
        "hint": "accept the dialog on its screen",
    }


def test_doctor_looks_measures_and_concludes(run: Run, doctor: Any) -> None:
    code, out, err = run("doctor", "--json")
    document = json.loads(out)
    kinds = [finding["what"] for finding in document["findings"]]
    looked = ["engine", "real-time priority", "cores", "governor", "load", "throttling", "free memory", "free disk"]
    assert kinds[: len(looked)] == looked
    assert kinds[-1] == "spread between runs"
    assert document["findings"][0]["told"].startswith("litert ")
    latencies = document["repeatability"]["latencies_ms"]
    assert sorted(latencies) == ["mnasnet-a1", "mnasnet-small", "mobilenet-v2"]
    assert all(len(runs) == 2 and min(runs) > 0 for runs in latencies.values())
    assert document["usable"] == (code == 0)
    assert "half a minute" in err


def test_doctor_says_what_is_missing(run: Run, doctor: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(_: Any) -> None:
        raise DeviceError("engine 'litert' is not installed; install it with: pip install ai-edge-litert")

    monkeypatch.setattr("nasfit.devices.local.LocalDevice.describe", absent)
    code, out, _ = run("doctor")
    lines = out.splitlines()
    assert code == 2
    assert lines[0].startswith("BAD")
    assert lines[1].strip() == "-> install it with: pip install ai-edge-litert"
    assert lines[-1] == "not usable: engine litert: engine 'litert' is not installed"


@pytest.mark.parametrize("name", ["adb:123", "ssh://pi@pi5"])
def test_doctor_stops_at_what_the_rest_needs(run: Run, doctor: Any, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    def diagnose(*_: object, **__: object) -> list[Any]:
        mild = Check("load", False, "2.00", "end other programs")
        return [mild, Check("phone", False, "phone 123 is unauthorized", "accept the dialog")]

    monkeypatch.setattr(doctor.ssh_diagnosis, "diagnose", diagnose)
    monkeypatch.setattr(doctor.adb_diagnosis, "diagnose", diagnose)
    code, out, _ = run("doctor", name, "--json")
    document = json.loads(out)
    assert code == 2
    assert [finding["state"] for finding in document["findings"]] == ["warning", "bad"]
    assert document["findings"][1]["fix"] == "accept the dialog"
    assert document["verdict"] == "not usable: phone: phone 123 is unauthorized"
    assert document["repeatability"] is None


def test_doctor_cleans_up(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "nothing of nasfit's was there" in run("doctor", "--clean")[1]
    code, out, _ = run("doctor", "--clean", "--json")
    assert (code, json.loads(out)) == (0, {"removed": []})
    monkeypatch.setattr("nasfit.devices.ssh.SshDevice.wipe", lambda _: ["/home/pi/.cache/nasfit/board-1"])
    assert run("doctor", "ssh://pi@pi5", "--clean")[1] == "removed /home/pi/.cache/nasfit/board-1\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [("doctor locl", "did you mean 'local'"), ("doctor local --engine litrt", "did you mean 'litert'")],
)
def test_doctor_refuses_with_one_message(run: Run, arguments: str, words: str) -> None:
    code, out, err = run(*arguments.split())
    assert (code, out) == (2, "")
    assert words in err
